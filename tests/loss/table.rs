//! The table, and what is wrong with it.

use crate::servers::Server;
use crate::trial::Trial;

const HEAD: [&str; 17] = [
    "server",
    "client",
    "requests",
    "POST",
    "wakes",
    "answered",
    "refused",
    "reset",
    "closed",
    "silent",
    "wrong",
    "late",
    "reconnected",
    "retried",
    "lost POST",
    "lost in time",
    "lost per 10,000",
];

/// On kept connections one request in so many may be lost, when pauses are aimed at the very edge. What two adjacent
/// system calls cost is 3 to 20 in 10,000; without the look before the close it is 270 to 450.
const BEARABLE_SHARE: u64 = 100;

/// And so many more, for small numbers.
const BEARABLE: u64 = 3;

/// The heading of the table, in Markdown.
pub fn heading() -> String {
    let rule: Vec<&str> =
        HEAD.iter().enumerate().map(|(at, _)| if at < 2 { "---" } else { "---:" }).collect();
    format!("| {} |\n| {} |", HEAD.join(" | "), rule.join(" | "))
}

/// One line of it.
pub fn row(trial: &Trial) -> String {
    let all = &trial.outcomes;
    let figures = [
        all.requests,
        all.posts,
        trial.past.wakes,
        all.answered,
        all.refused,
        all.reset,
        all.closed,
        all.silent,
        all.wrong,
        all.late,
        all.reconnected,
        all.retried,
        all.lost_posts,
        all.lost_in_time,
    ];
    let figures: Vec<String> = figures.iter().map(u64::to_string).collect();
    let share = per_ten_thousand(trial);
    format!("| {} | {} | {} | {share:.1} |", trial.server.name(), trial.kind.name, figures.join(" | "))
}

#[allow(clippy::cast_precision_loss)] // counts of requests
fn per_ten_thousand(trial: &Trial) -> f64 {
    trial.outcomes.lost() as f64 * 1e4 / (trial.outcomes.requests.max(1) as f64)
}

/// What must not be, in this trial alone.
pub fn faults(trial: &Trial) -> Vec<String> {
    let mut faults = Vec::new();
    let (all, past) = (&trial.outcomes, &trial.past);
    if trial.is_cut_short {
        faults.push(format!("only {} requests were made in {} s", all.requests, trial.took.as_secs()));
    }
    if trial.server != Server::Dormouse {
        return faults; // peers are measured, not tested
    }
    faults.extend(past.failures.iter().map(|failure| format!("it did not fall asleep in order: {failure}")));
    if past.wakes <= trial.services as u64 {
        faults.push("it was never woken twice, so nothing was tried".to_owned());
    }
    if !trial.kind.is_lossless() {
        faults.extend(faults_on_kept(trial));
    } else if all.lost() > 0 {
        faults.push(format!("{} of {} requests were lost, and none may be", all.lost(), all.requests));
    }
    if all.wrong + all.silent + all.refused > 0 {
        faults.push("an answer was wrong or missing, or the port was closed".to_owned());
    }
    faults
}

/// On kept connections some loss cannot be helped; this much can.
fn faults_on_kept(trial: &Trial) -> Vec<String> {
    let mut faults = Vec::new();
    let (all, past) = (&trial.outcomes, &trial.past);
    let bearable = all.requests / BEARABLE_SHARE + BEARABLE;
    if all.lost() > bearable {
        faults.push(format!(
            "{} of {} requests were lost, more than {bearable}: is a connection looked at before it is closed?",
            all.lost(),
            all.requests
        ));
    }
    if all.lost_bytes > past.late_bytes {
        faults.push(format!(
            "{} bytes of requests were lost, but by the daemon's count only {} came after the close of their \
             connection: it dropped what it could have answered",
            all.lost_bytes, past.late_bytes
        ));
    }
    faults
}

/// What must not be, beside the peers: on kept connections dormouse loses at most a tenth of what Go loses.
pub fn comparison(trials: &[Trial]) -> Option<String> {
    let lost = |server: Server| -> (u64, u64) {
        let kept = trials.iter().filter(|trial| trial.server == server && !trial.kind.is_lossless());
        kept.fold((0, 0), |(lost, all), trial| (lost + trial.outcomes.lost(), all + trial.outcomes.requests))
    };
    let ((ours, asked), (theirs, asked_of_go)) = (lost(Server::Dormouse), lost(Server::Go));
    (asked > 0 && asked_of_go > 0 && ours * 10 * asked_of_go > theirs * asked).then(|| {
        format!("on kept connections dormouse lost {ours} of {asked}, over a tenth of Go's {theirs} of {asked_of_go}")
    })
}
