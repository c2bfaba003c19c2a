//! The places of one host: a path's bytes in, a place out.

use matchit::Params;

use super::Pattern;

/// Where paths lead, for one host on one socket. `L` is what stands at a place.
///
/// One matchit tree cannot hold `/wiki/{page}` beside all below `/wiki/`, so there are two, of which the second is asked
/// only when the first has no match. Its keys are the subtrees' own paths, looked up with the longest prefix of the
/// request's path first.
#[derive(Debug)]
pub(super) struct Tree<L> {
    exact: matchit::Router<L>,
    /// The paths of subtrees without their last slash.
    slashless: matchit::Router<()>,
    subtrees: matchit::Router<L>,
    /// The most slashes any subtree's path has: longer prefixes need not be looked up.
    deepest: usize,
    has_exact: bool,
}

impl<L> Default for Tree<L> {
    fn default() -> Self {
        Self {
            exact: matchit::Router::new(),
            slashless: matchit::Router::new(),
            subtrees: matchit::Router::new(),
            deepest: 0,
            has_exact: false,
        }
    }
}

/// What a path leads to.
pub(super) enum Place<'t, 'p, L> {
    /// A leaf, the values of the parameters, and what follows a subtree's path.
    Leaf { leaf: &'t L, values: Params<'t, 'p>, rest: &'p str },
    /// A subtree begins at this path with a slash appended.
    Slash,
}

impl<L> Tree<L> {
    /// Puts a leaf where the pattern leads; the place must be free.
    pub fn insert(&mut self, pattern: &Pattern, leaf: L) -> Result<(), matchit::InsertError> {
        if !pattern.is_subtree() {
            self.has_exact = true;
            return self.exact.insert(pattern.key(), leaf);
        }
        self.subtrees.insert(pattern.key(), leaf)?;
        self.deepest = self.deepest.max(pattern.depth());
        match pattern.key().strip_suffix('/') {
            Some("") | None => Ok(()),
            Some(slashless) => self.slashless.insert(slashless, ()),
        }
    }

    /// The most specific place a path leads to.
    pub fn find<'t, 'p>(&'t self, path: &'p str) -> Option<Place<'t, 'p, L>> {
        if self.has_exact
            && let Ok(found) = self.exact.at(path)
        {
            return Some(Place::Leaf { leaf: found.value, values: found.params, rest: "" });
        }
        if self.deepest > 1 && self.slashless.at(path).is_ok() {
            return Some(Place::Slash);
        }
        self.longest_subtree(path)
    }

    fn longest_subtree<'t, 'p>(&'t self, path: &'p str) -> Option<Place<'t, 'p, L>> {
        let mut end = match self.deepest {
            1 => path.starts_with('/').then_some(0),
            deepest => memchr::memchr_iter(b'/', path.as_bytes()).take(deepest).last(),
        };
        while let Some(slash) = end {
            let (own, rest) = path.split_at(slash + 1);
            if let Ok(found) = self.subtrees.at(own) {
                return Some(Place::Leaf { leaf: found.value, values: found.params, rest });
            }
            end = memchr::memrchr(b'/', &path.as_bytes()[..slash]);
        }
        None
    }
}
