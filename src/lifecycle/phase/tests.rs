//! The machine in a world of its own: time, holds and connections as values, driven as the keeper drives it.

use proptest::prelude::*;

use super::*;

const AFTER: Duration = Duration::from_secs(30);
const MIN_AWAKE: Duration = Duration::from_secs(2);
const DRAIN: Duration = Duration::from_secs(20);

/// What may happen between two looks.
#[derive(Clone, Debug)]
enum Happening {
    Wait(u64),
    Begin,
    End { counts: bool },
    Connect,
    Disconnect,
    Signal,
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        4 => prop_oneof![0u64..3_000, Just(30_000), Just(2_000), Just(20_000)].prop_map(Happening::Wait),
        3 => Just(Happening::Begin),
        4 => any::<bool>().prop_map(|counts| Happening::End { counts }),
        2 => Just(Happening::Connect),
        3 => Just(Happening::Disconnect),
        1 => Just(Happening::Signal),
    ]
}

struct World {
    machine: Machine,
    facts: Facts,
    history: Vec<Phase>,
}

impl World {
    fn new(after: Option<Duration>) -> Self {
        let now = Instant::now();
        let sleep = Sleep { after, min_awake: MIN_AWAKE, grace: Duration::from_millis(200), drain: DRAIN };
        let facts = Facts { now, ready: now, holds: 0, older: 0, connections: 0, extended: None };
        let mut world = Self { machine: Machine::new(sleep), facts, history: vec![Phase::Starting] };
        world.step(Event::Ready);
        world
    }

    fn step(&mut self, event: Event) -> Step {
        let step = self.machine.step(event, &self.facts);
        let phase = self.machine.phase();
        if self.history.last() != Some(&phase) {
            self.history.push(phase);
        }
        step
    }

    /// Looks as the keeper does, until there is nothing more to do.
    fn settle(&mut self) {
        loop {
            match self.step(Event::Look) {
                Step::Stay => return,
                Step::Sweep => {
                    let event = if self.facts.holds == 0 { Event::Committed } else { Event::Found };
                    self.step(event);
                }
                Step::CloseIdle | Step::Reopen | Step::Drain | Step::StopAccepting | Step::Cut => {}
            }
        }
    }

    fn is_draining(&self) -> bool {
        matches!(self.machine.phase(), Phase::Draining { .. })
    }

    fn happen(&mut self, happening: &Happening) {
        match happening {
            Happening::Wait(millis) => self.facts.now += Duration::from_millis(*millis),
            Happening::Begin => {
                self.facts.holds += 1;
                self.facts.older += u64::from(!self.is_draining());
            }
            Happening::End { counts } if self.facts.holds > 0 => {
                self.facts.holds -= 1;
                self.facts.older = self.facts.older.min(self.facts.holds);
                if *counts {
                    self.facts.extended = Some(self.facts.now);
                }
            }
            Happening::Connect => self.facts.connections += 1,
            Happening::Disconnect => self.facts.connections = self.facts.connections.saturating_sub(1),
            Happening::Signal => {
                self.step(Event::Signal);
            }
            Happening::End { .. } => {}
        }
    }

    fn is_over(&self) -> bool {
        matches!(self.machine.phase(), Phase::Gone(_))
    }
}

proptest! {
    #[test]
    fn every_life_is_legal_and_leaves_nothing(happenings in prop::collection::vec(happening(), 1..60)) {
        let mut world = World::new(Some(AFTER));
        for happening in &happenings {
            let before = world.machine.phase();
            world.happen(happening);
            world.settle();
            let facts = world.facts;
            match world.machine.phase() {
                Phase::Gone(Exit::Asleep) => {
                    prop_assert_eq!(facts.holds, 0);
                    prop_assert!(facts.now >= facts.ready + MIN_AWAKE);
                    prop_assert!(facts.extended.is_none_or(|extended| facts.now >= extended + AFTER));
                }
                Phase::Gone(Exit::Drained) => prop_assert_eq!((facts.holds, facts.connections), (0, 0)),
                Phase::Gone(Exit::Overdue) => {
                    let Phase::Draining { since, .. } = before else { panic!("overdue from {before:?}") };
                    prop_assert!(facts.now >= since + DRAIN);
                }
                Phase::Closing { .. } => prop_assert_eq!(facts.holds, 0, "closing over a hold"),
                Phase::Draining { since, accepting: Accepting::No } => {
                    let is_last_call = facts.now >= since + (DRAIN - LAST_CALL);
                    let stopped_before = matches!(before, Phase::Draining { accepting: Accepting::No, .. });
                    prop_assert!(facts.older == 0 || is_last_call || stopped_before);
                }
                _ => {}
            }
            if world.is_over() {
                break;
            }
        }
        for pair in world.history.windows(2) {
            prop_assert!(can_become(&pair[0], &pair[1]), "{:?}", pair);
        }
    }

    /// Left alone, it ends: whatever is watched for comes, and nothing else is needed.
    #[test]
    fn what_is_watched_for_is_enough(happenings in prop::collection::vec(happening(), 1..40)) {
        let mut world = World::new(Some(AFTER));
        for happening in &happenings {
            world.happen(happening);
            world.settle();
        }
        for _ in 0..10 {
            if world.is_over() {
                return Ok(());
            }
            let (listen, deadline) = world.machine.watch(&world.facts);
            match deadline {
                Some(at) => world.facts.now = world.facts.now.max(at),
                None => prop_assert_eq!(listen, Listen::ToEnds, "neither a moment nor an end to wait for"),
            }
            // Everything under way ends, and whoever listens is told.
            world.facts.holds = 0;
            world.facts.older = 0;
            world.facts.connections = 0;
            world.settle();
        }
        prop_assert!(false, "still {:?} after ten turns", world.machine.phase());
    }

    #[test]
    fn never_is_never(happenings in prop::collection::vec(happening(), 1..60)) {
        let mut world = World::new(None);
        for happening in &happenings {
            if matches!(happening, Happening::Signal) {
                continue;
            }
            world.happen(happening);
            world.settle();
            prop_assert_eq!(world.machine.phase(), Phase::Serving);
        }
    }
}

#[test]
fn noise_does_not_restart_the_clock_and_the_first_clock_is_min_awake() {
    let mut world = World::new(Some(AFTER));
    assert_eq!(world.machine.asleep_at(&world.facts), Some(world.facts.ready + MIN_AWAKE));
    world.happen(&Happening::Begin);
    world.happen(&Happening::Wait(1_900));
    world.happen(&Happening::End { counts: false });
    world.happen(&Happening::Wait(100));
    world.settle();
    assert_eq!(world.machine.phase(), Phase::Gone(Exit::Asleep));
}

/// Quiet for long enough, with one connection still open.
fn closing() -> World {
    let mut world = World::new(Some(AFTER));
    world.happen(&Happening::Connect);
    world.happen(&Happening::Wait(2_000));
    world.settle();
    assert!(matches!(world.machine.phase(), Phase::Closing { .. }));
    world
}

#[test]
fn work_found_while_closing_calls_it_back() {
    let mut world = closing();
    world.happen(&Happening::Begin);
    world.settle();
    assert_eq!(world.machine.phase(), Phase::Serving);
}

#[test]
fn a_request_that_came_and_went_while_closing_calls_it_back() {
    let mut world = closing();
    world.happen(&Happening::Begin);
    world.happen(&Happening::End { counts: true });
    world.happen(&Happening::Disconnect);
    world.settle();
    assert_eq!(world.machine.phase(), Phase::Serving, "its answer promised to stay");
}

#[test]
fn a_reload_while_closing_may_call_it_back() {
    let mut world = closing();
    world.machine.set_sleep(Sleep { after: None, ..world.machine.sleep().clone() });
    world.happen(&Happening::Disconnect);
    world.settle();
    assert_eq!(world.machine.phase(), Phase::Serving);
}

#[test]
fn a_second_signal_cuts_and_committed_hears_none() {
    let mut world = World::new(Some(AFTER));
    world.happen(&Happening::Begin);
    assert_eq!(world.step(Event::Signal), Step::Drain);
    assert_eq!(world.step(Event::Signal), Step::Cut);
    assert_eq!(world.machine.phase(), Phase::Gone(Exit::Cut));

    let mut world = World::new(Some(AFTER));
    world.happen(&Happening::Wait(2_000));
    assert_eq!(world.step(Event::Look), Step::CloseIdle);
    assert_eq!(world.step(Event::Look), Step::Sweep);
    world.step(Event::Committed);
    assert_eq!(world.step(Event::Signal), Step::Stay);
    assert_eq!(world.machine.phase(), Phase::Committed);
}
