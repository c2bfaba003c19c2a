//! From a request to a program that runs for it.

use std::ffi::OsString;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::running::{Input, Running, Terms};
use super::{Mode, Plan};
use crate::command::Fields;
use crate::guard::{Entry, Place, RequestBody, no_place};
use crate::handler::call::{Call, Instead, nothing};
use crate::handler::while_wanted;
use crate::process::{Child, Owner, Program, Stdin, Streams, Way};

/// How many lines may wait for a client that reads slowly.
const LINES: usize = 64;

/// A program, or nothing if nobody waits for it any more; or the answer that there is none.
type Begun = Result<Option<Running>, Instead>;

impl Plan {
    /// Starts the program for a request, if it may and when it is its turn.
    pub(super) async fn begin(
        self: Arc<Self>,
        call: Arc<Call>,
        body: RequestBody,
        end: Option<Instant>,
    ) -> Begun {
        let (program, input) = self.prepare(&call, body).await?;
        let starting = self.clone().start_in_turn(call.clone(), program, input, end);
        if self.ends_with_client {
            return starting.await;
        }
        // A reset drops whoever waits here, and not the program.
        match tokio::spawn(starting).await {
            Ok(begun) => begun,
            Err(error) => Err(call.failed("run", &error.to_string()).into()),
        }
    }

    /// The program for a request, if it wants one, and what that reads. What its body says is dropped here: JSON takes
    /// too much room to wait in line with.
    async fn prepare(&self, call: &Call, body: RequestBody) -> Result<(Program, Input), Instead> {
        let (fields, input) = self.read(call, body).await?;
        let unfit = |unfit| call.unfit(&unfit);
        if !call.with_values(&fields, |asked| self.command.is_wanted(asked)).map_err(unfit)? {
            return Err(nothing().into());
        }
        let arguments = call.with_values(&fields, |asked| self.command.fill(asked)).map_err(unfit)?;
        let mut env = call.variables(input.length(call)).map_err(unfit)?;
        env.extend(self.command.variables());
        let program =
            self.program(arguments, env).map_err(|why| call.failed(&self.owner().to_string(), &why))?;
        Ok((program, input))
    }

    /// Reads of the body what has to be known of it, and checks who has sent it.
    async fn read(&self, call: &Call, body: RequestBody) -> Result<(Fields, Input), Instead> {
        let wants = self.command.wants();
        if self.verify.is_none() && !wants.any() {
            let is_empty = http_body::Body::is_end_stream(&body);
            return Ok((Fields::None, if is_empty { Input::Empty } else { Input::Stream(body) }));
        }
        let bytes = call.take_whole(body, self.largest_body, self.verify.as_ref()).await?;
        let media = call.parts.headers.get(hyper::header::CONTENT_TYPE);
        let fields = Fields::parse(media, &bytes, wants).map_err(|unfit| call.unfit(&unfit))?;
        Ok((fields, if bytes.is_empty() { Input::Empty } else { Input::Memory(bytes) }))
    }

    fn program(&self, run: Vec<OsString>, env: Vec<(OsString, OsString)>) -> Result<Program, String> {
        let dir = self.folders.of_program(self.command.dir.as_deref())?;
        let nice = self.command.nice;
        Ok(Program { owner: self.owner(), run, env, dir, socket: None, nice })
    }

    pub(super) fn owner(&self) -> Owner {
        Owner::Route("run", self.path.clone())
    }

    /// Waits for a place, and starts it.
    async fn start_in_turn(
        self: Arc<Self>,
        call: Arc<Call>,
        program: Program,
        input: Input,
        end: Option<Instant>,
    ) -> Begun {
        // While it waits its client may leave, and it is to be run all the same.
        let waits = if self.ends_with_client { None } else { call.exchange.hold() };
        let place = match self.places.enter() {
            Entry::Place(place) => place,
            Entry::Full => return Err(call.refuse(no_place()).into()),
            Entry::Wait(turn) => {
                let turn = while_wanted(&call.exchange, self.ends_with_client, turn);
                match self.waits.head(&call.exchange, end, turn).await {
                    Some(Some(Some(place))) => place,
                    Some(None) => return Ok(None),
                    Some(Some(None)) | None => {
                        return Err(self.not_run(&call, "it has waited in line as long as it may (timeouts)"));
                    }
                }
            }
        };
        if call.exchange.control().is_cut() {
            return Err(self.not_run(&call, "dormouse leaves")); // it would only be ended at once
        }
        call.exchange.restart_wait();
        let running = self.start(&call, &program, (input, place), end);
        drop(waits);
        running.map(Some)
    }

    /// Turns one away that has waited in line. A client that was to be finished without may not be there to hear it.
    fn not_run(&self, call: &Call, why: &str) -> Instead {
        if !self.ends_with_client {
            let owner = self.owner();
            tracing::warn!(route = owner.name(), "{owner}: is not run for {}: {why}", call.client);
        }
        call.refuse(no_place()).into()
    }

    fn start(
        &self,
        call: &Call,
        program: &Program,
        (input, place): (Input, Place),
        until: Option<Instant>,
    ) -> Result<Running, Instead> {
        let Some(hold) = call.exchange.hold() else { return Err(call.refuse(no_place()).into()) };
        let (tell, lines) = mpsc::channel(LINES);
        let (stdout, stderr, lines) = match self.mode {
            Mode::Events => (Way::Lines(tell.clone()), Way::LogAndLines(tell), Some(lines)),
            Mode::Stream | Mode::Whole(_) => (Way::Bytes, Way::Log, None),
        };
        let stdin = if matches!(input, Input::Empty) { Stdin::Empty } else { Stdin::Pipe };
        let started = Child::start_with(program, Streams { stdin, stdout, stderr });
        let started = started.map_err(|error| call.not_started(&error))?;
        let terms = Terms {
            owner: self.owner(),
            finishes: !self.ends_with_client,
            until,
            exchange: call.exchange.clone(),
            _keeps: (hold, self.roster.enter("command", self.path.clone()), place),
        };
        Ok(Running::watch(started, lines, input, terms))
    }
}
