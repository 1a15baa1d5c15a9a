//! What is left to do of an experiment.

use infomark_train::Budget;
use serde::Serialize;

use crate::ExperimentError;
use crate::arm::PolicySource;
use crate::bench::{ArmRun, Bench};

/// How far a training is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Nothing of it is there.
    New,
    /// A training is under way, and goes on.
    Interrupted,
    /// It is trained, and left to be scored.
    Trained,
    /// Nothing is left to do.
    Finished,
}

/// A planned run.
#[derive(Clone, Debug, Serialize)]
pub struct PlannedRun {
    data: String,
    arm: String,
    seed: u64,
    /// None of what trains nothing.
    pub budget: Option<Budget>,
    policy: Option<String>,
    /// How far it is.
    pub state: State,
    folder: String,
}

impl PlannedRun {
    /// A line of text: what is done, and what is left to do.
    pub fn text(&self) -> String {
        let (budget, make) = match self.budget {
            Some(Budget::Steps(steps)) => (format!(": {steps} steps"), "train"),
            Some(Budget::Minutes(minutes)) => (format!(": {minutes} minutes"), "train"),
            None => (String::new(), "match"),
        };
        let policy = self.policy.as_ref().map_or_else(String::new, |policy| format!(", {policy}"));
        let state = match self.state {
            State::Finished => "finished: nothing to do".to_owned(),
            State::Trained => "trained: score".to_owned(),
            State::Interrupted => "interrupted: go on, score".to_owned(),
            State::New => format!("{make}, score"),
        };
        format!("{} / {} / seed {}{budget}{policy} - {state}", self.data, self.arm, self.seed)
    }
}

impl Bench<'_> {
    /// What is left to do of a run.
    ///
    /// # Errors
    /// When a file of its folder can't be read.
    pub fn plan(&self, run: &ArmRun<'_>) -> Result<PlannedRun, ExperimentError> {
        let ArmRun { set, arm, seed, .. } = run;
        let policy = arm.policy.map(|source| {
            let with = arm.tuned_with.as_deref().unwrap_or_default();
            match source {
                PolicySource::Tuned => format!("intensity of each tier tuned with {with}"),
                PolicySource::TunedShared => format!("one intensity for all tiers tuned with {with}"),
            }
        });
        Ok(PlannedRun {
            data: set.name.clone(),
            arm: arm.name.clone(),
            seed: *seed,
            budget: self.budget(run)?,
            policy,
            state: self.state(run)?,
            folder: self.folder(run).display().to_string(),
        })
    }
}
