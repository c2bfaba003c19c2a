//! From a request to its route.

use std::collections::{BTreeMap, BTreeSet};

use hyper::Method;

use super::host::{self, HostPattern};
use super::tree::{Place, Tree};
use super::{MethodSet, Pattern};

/// When a route is asked.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Its path.
    pub pattern: Pattern,
    /// What else belongs to it: everything below an exact path, with the same parameters.
    pub below: Option<Pattern>,
    /// Its hosts; none means every host.
    pub hosts: Vec<HostPattern>,
    /// The only socket it is reached on.
    pub socket: Option<String>,
    /// The methods it takes.
    pub methods: MethodSet,
}

/// Two routes, by their index, that cannot be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Conflict {
    /// The earlier one.
    pub first: usize,
    /// The later one.
    pub second: usize,
}

/// What the choice of a route depends on.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a, 'q> {
    /// The name of the socket the request came in on.
    pub socket: &'a str,
    /// See [`super::request_host`].
    pub host: Option<&'a str>,
    /// The method.
    pub method: &'a Method,
    /// The path as sent; what is found borrows from it alone.
    pub path: &'q str,
}

impl Spec {
    /// Its paths.
    fn patterns(&self) -> impl Iterator<Item = &Pattern> {
        std::iter::once(&self.pattern).chain(&self.below)
    }

    /// The one of its paths that is at this place.
    fn pattern_at(&self, (is_subtree, key): (bool, &str)) -> &Pattern {
        let is_there = |pattern: &&Pattern| pattern.is_subtree() == is_subtree && pattern.key() == key;
        self.patterns().find(is_there).unwrap_or(&self.pattern)
    }
}

/// Where a request leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found<'r, 'q> {
    /// To a route.
    Route {
        /// Its index.
        route: usize,
        /// The parameters' names and values, as sent; `{*rest}` is the last.
        captures: Vec<(&'r str, &'q str)>,
        /// What follows a subtree's path.
        rest: &'q str,
    },
    /// To a place where no route takes the method, only these, sorted.
    Method(Vec<&'r Method>),
    /// To nothing but a subtree that begins one slash further.
    Slash,
    /// Nowhere.
    Nothing,
}

/// Finds routes. Built once from a config, then only read.
#[derive(Debug)]
pub struct Router {
    specs: Vec<Spec>,
    /// One for each socket that a route names: what is seen from there.
    sockets: Vec<(String, View)>,
    /// What is seen from every other socket.
    elsewhere: View,
    has_hosts: bool,
}

/// The routes at one place, by index: those of a named socket first, those that take any method last.
type Leaf = Vec<usize>;

/// All that can be reached through one socket.
#[derive(Debug, Default)]
struct View {
    /// By name in small letters, sorted.
    named: Vec<(String, Tree<Leaf>)>,
    /// By suffix (`.example.org`), sorted.
    below: Vec<(String, Tree<Leaf>)>,
    any: Tree<Leaf>,
}

impl Router {
    /// Builds a router; the index of a route is its place in `specs`.
    pub fn new(specs: Vec<Spec>) -> Result<Self, Vec<Conflict>> {
        let names: BTreeSet<_> = specs.iter().filter_map(|spec| spec.socket.clone()).collect();
        let mut conflicts = BTreeSet::new();
        let elsewhere = View::new(&specs, None, &mut conflicts);
        let view = |name: String| (name.clone(), View::new(&specs, Some(&name), &mut conflicts));
        let sockets = names.into_iter().map(view).collect();
        if conflicts.is_empty() {
            let has_hosts = specs.iter().any(|spec| !spec.hosts.is_empty());
            Ok(Self { specs, sockets, elsewhere, has_hosts })
        } else {
            Err(conflicts.into_iter().collect())
        }
    }

    /// Whether any route asks for the host: where none does, it need not be looked for.
    pub fn has_hosts(&self) -> bool {
        self.has_hosts
    }

    /// The routes it was built from.
    pub fn specs(&self) -> &[Spec] {
        &self.specs
    }

    /// The most specific route. Allocates only for parameters, and for the list of a wrong method.
    pub fn find<'r, 'q>(&'r self, question: Question<'_, 'q>) -> Found<'r, 'q> {
        let view = self.sockets.iter().find(|(name, _)| name == question.socket);
        match view.map_or(&self.elsewhere, |(_, view)| view).find(question.host, question.path) {
            None => Found::Nothing,
            Some(Place::Slash) => Found::Slash,
            Some(Place::Leaf { leaf, values, rest }) => {
                let Some(route) =
                    leaf.iter().copied().find(|route| self.specs[*route].methods.takes(question.method))
                else {
                    return Found::Method(self.allowed(leaf));
                };
                let pattern = &self.specs[route].pattern;
                let values =
                    values.iter().map(|(_, value)| value).chain(pattern.names_rest().then_some(rest));
                let captures = pattern.names().iter().map(String::as_str).zip(values).collect();
                Found::Route { route, captures, rest }
            }
        }
    }

    fn allowed(&self, leaf: &Leaf) -> Vec<&Method> {
        let methods = leaf.iter().filter_map(|route| match &self.specs[*route].methods {
            MethodSet::Any => None,
            MethodSet::Only(methods) => Some(methods),
        });
        let sorted: BTreeMap<_, _> = methods.flatten().map(|method| (method.as_str(), method)).collect();
        sorted.into_values().collect()
    }
}

impl View {
    fn new(specs: &[Spec], socket: Option<&str>, conflicts: &mut BTreeSet<Conflict>) -> Self {
        let mut view = Self::default();
        for (host, places) in places(specs, socket) {
            let mut tree = Tree::default();
            for (place, mut leaf) in places {
                conflicts.extend(clashes(specs, &leaf));
                leaf.sort_by_key(|route| {
                    (specs[*route].socket.is_none(), specs[*route].methods == MethodSet::Any)
                });
                // A place is inserted once, and keys have nothing in them over which matchit could stumble: tested by
                // properties. Should it, the route is missing and the rest stands.
                let pattern = specs[leaf[0]].pattern_at(place);
                let inserted = tree.insert(pattern, leaf);
                debug_assert_eq!(inserted, Ok(()));
            }
            match host {
                None => view.any = tree,
                Some(HostPattern::Named(name)) => view.named.push((name, tree)),
                Some(HostPattern::Below(suffix)) => view.below.push((suffix, tree)),
            }
        }
        view
    }

    /// The most specific host that has something at the path, and what.
    fn find<'r, 'q>(&'r self, host: Option<&str>, path: &'q str) -> Option<Place<'r, 'q, Leaf>> {
        match host {
            Some(host) if !(self.named.is_empty() && self.below.is_empty()) => {
                let host = host::canonical(host);
                let named = tree(&self.named, &host).and_then(|tree| tree.find(path));
                named.or_else(|| self.find_below(&host, path)).or_else(|| self.any.find(path))
            }
            _ => self.any.find(path),
        }
    }

    /// Asks the wildcards, the longest first.
    fn find_below<'r, 'q>(&'r self, host: &str, path: &'q str) -> Option<Place<'r, 'q, Leaf>> {
        let dots = memchr::memchr_iter(b'.', host.as_bytes()).filter(|dot| *dot > 0);
        dots.filter_map(|dot| tree(&self.below, &host[dot..])).find_map(|tree| tree.find(path))
    }
}

fn tree<'r>(trees: &'r [(String, Tree<Leaf>)], host: &str) -> Option<&'r Tree<Leaf>> {
    trees.binary_search_by(|(name, _)| host::compare(name, host)).ok().map(|at| &trees[at].1)
}

/// The routes seen from a socket by host and place, sorted by both.
fn places<'s>(
    specs: &'s [Spec],
    socket: Option<&str>,
) -> BTreeMap<Option<HostPattern>, BTreeMap<(bool, &'s str), Leaf>> {
    let mut hosts: BTreeMap<_, BTreeMap<_, Leaf>> = BTreeMap::new();
    let seen = specs
        .iter()
        .enumerate()
        .filter(|(_, spec)| spec.socket.is_none() || spec.socket.as_deref() == socket);
    for (route, spec) in seen {
        let named: BTreeSet<_> = spec.hosts.iter().cloned().map(Some).collect();
        let everywhere = spec.hosts.is_empty().then_some(None);
        for host in named.into_iter().chain(everywhere) {
            for pattern in spec.patterns() {
                let place = (pattern.is_subtree(), pattern.key());
                hosts.entry(host.clone()).or_default().entry(place).or_default().push(route);
            }
        }
    }
    hosts
}

/// The pairs at one place that nothing tells apart.
fn clashes(specs: &[Spec], leaf: &[usize]) -> Vec<Conflict> {
    let mut clashes = Vec::new();
    for (at, first) in leaf.iter().copied().enumerate() {
        let (a, later) = (&specs[first], &leaf[at + 1..]);
        let others = later.iter().copied().filter(|second| {
            let b = &specs[*second];
            a.socket == b.socket && a.methods.clashes(&b.methods)
        });
        clashes.extend(others.map(|second| Conflict { first, second }));
    }
    clashes
}

#[cfg(test)]
mod tests;
