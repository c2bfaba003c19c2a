//! A request that waits quietly: nobody stays awake for it before something comes.

use std::sync::atomic::Ordering::{Acquire, Release};

use super::{Exchange, Held, Own, Part};
use crate::server::shared::Stage;

/// While this lives its request waits for what may never come, and nothing is held for it
/// ([`Exchange::wait_quietly`]).
///
/// Dropped, it has waited in vain: its answer is noise, and held for to its last byte as any other is, unless it was asked
/// to end.
#[derive(Debug)]
#[must_use]
pub struct Quiet(Exchange);

impl Quiet {
    /// Something has come: from here on the request is held for again like any other, and its answer counts.
    ///
    /// `false`: the process has committed to leave, or the request is over, and nothing must be given to it any more. What
    /// has come is to stay where the next request, or the next process, finds it. Either this is `false`, or the process
    /// stays for the answer: there is nothing between the two.
    #[must_use]
    pub fn end(self) -> bool {
        self.0.resume()
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        self.0.stop_waiting();
    }
}

impl Exchange {
    /// Says that this request waits for something that may never come (a long poll), so that the process may sleep over
    /// it: until the guard ends nothing is held for it, once its body has come. When the process is about to sleep it
    /// hears so like a stream that is not held for ([`Exchange::draining`]), and should answer at once; that answer, if it
    /// comes within `sleep.grace`, still reaches the client, and restarts no clock.
    ///
    /// Clients ask again as soon as they are answered: with the process at the edge of sleep they would be answered over
    /// and over. So wait for a moment before this is called, or tell them when to come back.
    ///
    /// Called before the answer's head is given; later it changes nothing.
    pub fn wait_quietly(&self) -> Quiet {
        if self.begin_waiting() {
            if self.0.shared.stage() == Stage::CloseIdle {
                self.send_off(); // the others were at the beginning of that stage
                self.0.shared.draining.notify_waiters();
            }
            self.0.record.waker.wake(); // its connection has a hold to let go
        }
        Quiet(self.clone())
    }

    fn begin_waiting(&self) -> bool {
        let mut own = self.own();
        if own.is_over || !self.is_held() || self.part() != Part::Asked {
            return false;
        }
        own.hold = None;
        self.0.is_in_vain.store(true, Release);
        self.set_held(&own, Held::Waits);
        true
    }

    fn resume(&self) -> bool {
        let mut own = self.own();
        if own.is_over || self.0.shared.stage() == Stage::Cut {
            return false;
        }
        if self.held() == Held::Waits {
            if !self.hold_again(&mut own) {
                return false;
            }
            self.0.is_in_vain.store(false, Release);
            self.0.is_sent_off.store(false, Release);
        }
        self.is_held()
    }

    fn stop_waiting(&self) {
        let mut own = self.own();
        if !own.is_over && self.held() == Held::Waits && !self.0.is_sent_off.load(Acquire) {
            self.hold_again(&mut own); // refused, it is as if it was asked to end
        }
    }

    /// Holds for it, and for its connection: the request may be over before its last byte is with the kernel.
    fn hold_again(&self, own: &mut Own) -> bool {
        let activity = &self.0.shared.activity;
        let (Some(hold), Some(of_connection)) = (activity.hold(), activity.hold()) else { return false };
        own.hold = Some(hold);
        // First: a connection that takes its hold must find nothing that lets it go.
        self.set_held(own, Held::Yes);
        self.0.record.regained.put(of_connection, &self.0.record.is_over);
        self.0.record.waker.wake();
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::Ordering::Relaxed;

    use hyper::Method;

    use super::*;
    use crate::activation::Peer;
    use crate::server::KeepsAwake;
    use crate::server::in_flight::InFlight;
    use crate::server::record::Record;
    use crate::server::shared::{Settings, Shared};

    struct Scene {
        shared: Arc<Shared>,
        record: Arc<Record>,
    }

    impl Scene {
        fn new() -> Self {
            let shared = Shared::new(Settings::default(), true);
            Self { record: shared.roll.enter(Peer::Unix(None), "web".into(), 0), shared }
        }

        /// A request held for by itself, as those of HTTP/2 are.
        fn request(&self) -> InFlight {
            let exchange = Exchange::new(self.record.clone(), self.shared.clone(), Method::POST);
            InFlight::begin(exchange, self.shared.activity.hold())
        }

        fn holds(&self) -> u64 {
            self.shared.activity.counts().all()
        }

        /// How many are not held for, and how many of them wait.
        fn unheld(&self) -> (usize, usize) {
            (self.record.unheld.count(), self.shared.waiting.load(Relaxed))
        }
    }

    #[test]
    fn nothing_is_held_for_it_until_something_comes() {
        let scene = Scene::new();
        let request = scene.request();
        let quiet = request.exchange().wait_quietly();
        assert_eq!((scene.holds(), scene.unheld(), request.exchange().counts()), (0, (1, 1), false));
        let told = |scene: &Scene| {
            let account = scene.shared.account();
            let [holder] = account.holders.try_into().expect("one");
            (account.other_holds, holder.doing, holder.keeps_awake)
        };
        assert_eq!(told(&scene), (0, "waits quietly", KeepsAwake::No));
        assert!(quiet.end());
        assert_eq!((scene.holds(), scene.unheld(), request.exchange().extends()), (2, (0, 0), true));
        assert_eq!(told(&scene), (0, "being answered", KeepsAwake::Yes));
        drop(request);
        assert_eq!(scene.holds(), 1, "its answer is still to be written");
        assert!(scene.shared.activity.extended().is_some());
        drop(scene.record.regained.take());
        assert_eq!(scene.holds(), 0);
    }

    #[test]
    fn whoever_comes_after_the_commit_hears_so() {
        let scene = Scene::new();
        let request = scene.request();
        let quiet = request.exchange().wait_quietly();
        assert!(scene.shared.activity.commit());
        assert!(!quiet.end());
        drop(request);
        assert_eq!((scene.holds(), scene.unheld()), (0, (0, 0)));
    }

    #[test]
    fn whoever_comes_after_its_end_hears_so_and_holds_nothing() {
        let scene = Scene::new();
        let request = scene.request();
        let exchange = request.exchange().clone();
        let (one, other) = (exchange.wait_quietly(), exchange.wait_quietly());
        drop(request);
        assert!(!one.end());
        drop((other, exchange.wait_quietly()));
        assert_eq!((scene.holds(), scene.unheld()), (0, (0, 0)));
        assert!(scene.shared.activity.extended().is_none(), "it was in vain");
    }

    #[test]
    fn a_connection_that_is_over_is_given_no_hold() {
        let scene = Scene::new();
        let request = scene.request();
        let quiet = request.exchange().wait_quietly();
        scene.record.is_over.store(true, Release);
        scene.record.regained.clear();
        assert!(quiet.end());
        drop(request);
        assert_eq!(scene.holds(), 0);
    }

    #[test]
    fn one_that_gives_up_is_held_for_and_noise() {
        let scene = Scene::new();
        let request = scene.request();
        drop(request.exchange().wait_quietly());
        assert_eq!((scene.holds(), scene.unheld()), (2, (0, 0)));
        drop((scene.record.regained.take(), request));
        assert_eq!(scene.holds(), 0);
        assert!(scene.shared.activity.extended().is_none());
        assert_eq!(scene.shared.tally.figures().noise, 1);
    }

    #[test]
    fn one_that_was_asked_to_end_is_not_held_for_unless_something_comes() {
        for something_comes in [false, true] {
            let scene = Scene::new();
            let mut request = scene.request();
            scene.shared.enter_stage(Stage::CloseIdle);
            let quiet = request.exchange().wait_quietly();
            assert!(request.exchange().is_draining(), "it comes when the others have been told");
            if something_comes {
                assert!(quiet.end());
                assert!(!request.exchange().is_draining(), "held for, it has time");
            } else {
                drop(quiet);
            }
            request.answer(Part::Answer);
            assert_eq!(request.exchange().extends(), something_comes);
            assert_eq!(scene.holds(), if something_comes { 2 } else { 0 });
            assert_eq!(scene.unheld(), (usize::from(!something_comes), 0), "an answer does not wait");
            drop((scene.record.regained.take(), request));
            assert_eq!((scene.holds(), scene.unheld()), (0, (0, 0)));
        }
    }

    #[test]
    fn it_may_wait_again_or_become_a_stream_and_none_begins_after_the_head() {
        let scene = Scene::new();
        let mut request = scene.request();
        assert!(request.exchange().wait_quietly().end());
        drop(scene.record.regained.take());
        let again = request.exchange().wait_quietly();
        assert_eq!((scene.holds(), scene.unheld()), (0, (1, 1)));
        assert!(again.end());
        drop(scene.record.regained.take());
        request.exchange().keeps_awake(KeepsAwake::WhileActive);
        request.answer(Part::Stream);
        assert_eq!((scene.holds(), scene.unheld()), (0, (1, 0)));
        assert!(!request.exchange().wait_quietly().end(), "it is not held for");
        assert_eq!(scene.unheld(), (1, 0));
        drop(request);
        assert_eq!((scene.holds(), scene.unheld()), (0, (0, 0)));
    }
}
