//! The director: which step comes next, given what was seen. The same director could drive a model.
//! Whatever happens, every fault that was begun is healed, the last one first.
//! May not know: how a step is done.

use serde::Serialize;

use super::fault::Fault;
use super::scenario::Scenario;
use crate::model::duration::Millis;

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Let time pass under load.
    Wait(Millis),
    /// Look at the last part of the load.
    Probe(Millis),
    /// Break something.
    Inject(Fault),
    /// Put it back.
    Heal(Fault),
    /// It is over.
    Done(Ending),
}

/// What the last stretch of load looked like, over all targets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// One sentence per target that is not well: not answering, failing.
    pub unwell: Vec<String>,
    /// Whether every target was answered by its primary alone.
    pub primary_alone: bool,
}

/// What became of a step.
#[derive(Clone, Debug, PartialEq)]
pub enum Observation {
    /// The wait is over, or the act was done.
    Done,
    /// The answer to a probe.
    Seen(Seen),
    /// The act could not be done; part of it may have been.
    Failed(String),
    /// Somebody wants to stop.
    Interrupted,
}

/// How a drill ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "ending", content = "why")]
pub enum Ending {
    /// Every step was taken.
    Completed,
    /// The service was not well before anything was broken; nothing was broken.
    Refused(String),
    /// A fault could not be injected or healed.
    Broken(String),
    /// Stopped early.
    Interrupted,
}

#[derive(Clone, Debug, PartialEq)]
enum State {
    Start,
    Warming,
    Checking { left: u64 },
    Patience { left: u64 },
    Injecting(usize),
    Between(usize),
    During,
    Healing,
    Settling { left: u64 },
    Looking { left: u64 },
    Over(Ending),
}

/// The director of one drill.
#[derive(Clone, Debug)]
pub struct Director {
    faults: Vec<(Fault, Millis)>,
    scenario_force: bool,
    warmup: Millis,
    during: Millis,
    after: Millis,
    settle: Millis,
    patience: Millis,
    state: State,
    broken: Vec<Fault>,
    ending: Ending,
}

/// How often the director looks whether the primary serves alone.
const LOOK: u64 = 250;

impl Director {
    /// A director for this scenario.
    pub fn new(scenario: &Scenario) -> Self {
        Director {
            faults: scenario.faults.iter().map(|f| (f.fault.clone(), f.then_wait)).collect(),
            scenario_force: scenario.force,
            warmup: scenario.load.warmup,
            during: scenario.load.during,
            after: scenario.load.after,
            settle: scenario.load.settle,
            patience: scenario.load.ready_within,
            state: State::Start,
            broken: Vec::new(),
            ending: Ending::Completed,
        }
    }

    /// The next step. `seen` is what became of the step before; it is ignored on the first call.
    pub fn next(&mut self, seen: Observation) -> Step {
        if seen == Observation::Interrupted && !matches!(self.state, State::Over(_)) {
            return self.stop(Ending::Interrupted);
        }
        match (self.state.clone(), seen) {
            (State::Start, _) => self.go(State::Warming, Step::Wait(self.warmup)),
            (State::Warming, _) => self.go(State::Checking { left: self.patience.0 }, Step::Probe(self.warmup)),
            (State::Patience { left }, _) => self.go(State::Checking { left }, Step::Probe(self.warmup)),
            (State::Checking { left }, Observation::Seen(s)) if !s.unwell.is_empty() && left > 0 => {
                let wait = (2 * LOOK).min(left);
                self.go(State::Patience { left: left - wait }, Step::Wait(Millis(wait)))
            }
            (State::Checking { .. }, Observation::Seen(s)) if !s.unwell.is_empty() && !self.scenario_force => {
                self.over(Ending::Refused(s.unwell.join("; ")))
            }
            (State::Checking { .. }, Observation::Failed(why)) if !self.scenario_force => {
                self.over(Ending::Refused(why))
            }
            (State::Checking { .. }, _) => self.inject(0),
            (State::Injecting(_), Observation::Failed(why)) => self.stop(Ending::Broken(why)),
            (State::Injecting(i), _) if i + 1 < self.faults.len() => {
                self.go(State::Between(i), Step::Wait(self.faults[i].1))
            }
            (State::Injecting(_), _) => self.go(State::During, Step::Wait(self.during)),
            (State::Between(i), _) => self.inject(i + 1),
            (State::During, _) => self.heal(),
            (State::Healing, Observation::Failed(why)) => {
                self.ending = Ending::Broken(why);
                self.heal()
            }
            (State::Healing, _) => self.heal(),
            (State::Settling { left }, _) => self.go(State::Looking { left }, Step::Probe(self.settle)),
            (State::Looking { .. }, Observation::Seen(s)) if s.primary_alone && s.unwell.is_empty() => {
                self.over(self.ending.clone())
            }
            (State::Looking { left }, _) => self.look_again(left),
            (State::Over(ending), _) => Step::Done(ending),
        }
    }

    fn go(&mut self, state: State, step: Step) -> Step {
        self.state = state;
        step
    }

    fn over(&mut self, ending: Ending) -> Step {
        self.go(State::Over(ending.clone()), Step::Done(ending))
    }

    fn inject(&mut self, i: usize) -> Step {
        let fault = self.faults[i].0.clone();
        self.broken.push(fault.clone());
        self.go(State::Injecting(i), Step::Inject(fault))
    }

    /// Ends early: heal what was begun and do not wait for the primary.
    fn stop(&mut self, ending: Ending) -> Step {
        self.ending = ending;
        self.heal()
    }

    fn heal(&mut self) -> Step {
        match self.broken.pop() {
            Some(fault) => self.go(State::Healing, Step::Heal(fault)),
            None if self.ending == Ending::Completed => self.look_again(self.after.0),
            None => self.over(self.ending.clone()),
        }
    }

    fn look_again(&mut self, left: u64) -> Step {
        if left == 0 {
            return self.over(self.ending.clone());
        }
        let wait = LOOK.min(left);
        self.go(State::Settling { left: left - wait }, Step::Wait(Millis(wait)))
    }
}
