//! The methods a route takes.

use std::fmt;

use hyper::Method;

use crate::schema::Methods;

/// The methods a route takes; `GET` brings `HEAD` with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MethodSet {
    /// All of them.
    Any,
    /// These, sorted.
    Only(Vec<Method>),
}

impl MethodSet {
    /// These methods.
    pub fn only(methods: impl IntoIterator<Item = Method>) -> Self {
        let mut methods: Vec<_> = methods.into_iter().collect();
        if methods.contains(&Method::GET) {
            methods.push(Method::HEAD);
        }
        methods.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        methods.dedup();
        Self::Only(methods)
    }

    /// These, and others.
    #[must_use]
    pub fn and(self, others: &[&str]) -> Self {
        match self {
            Self::Any => Self::Any,
            Self::Only(methods) => {
                Self::only(methods.into_iter().chain(others.iter().filter_map(|name| name.parse().ok())))
            }
        }
    }

    /// Whether it takes this one.
    pub fn takes(&self, method: &Method) -> bool {
        match self {
            Self::Any => true,
            Self::Only(methods) => methods.contains(method),
        }
    }

    /// Whether two routes in one place cannot be told apart by their methods. One that takes all stands behind one
    /// that names some.
    pub(super) fn clashes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, Self::Any) => true,
            (Self::Only(own), Self::Only(_)) => own.iter().any(|method| other.takes(method)),
            _ => false,
        }
    }
}

impl From<Methods> for MethodSet {
    fn from(methods: Methods) -> Self {
        match methods {
            Methods::Any => Self::Any,
            Methods::Only(names) => Self::only(names.iter().filter_map(|name| name.parse().ok())),
        }
    }
}

impl fmt::Display for MethodSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.pad("any"),
            Self::Only(methods) => f.pad(&methods.iter().map(Method::as_str).collect::<Vec<_>>().join(" ")),
        }
    }
}
