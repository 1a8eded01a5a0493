//! `sonde trace`: the agent with a printer for its spans, and nothing else.

use std::{
    io::{self, IsTerminal as _, Write},
    ops::ControlFlow,
    process::ExitCode,
    sync::mpsc,
    thread,
};

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

use super::{
    control::{self, Control, Sender},
    run::Worker,
    sink::Sink,
    start::Started,
};
use crate::{
    cli::{TraceFormat, filter::Filter, style::Style, trace},
    config::{Config, value::Sampler},
    probe::http,
    signal::Signal,
    telemetry::Telemetry,
};

/// Prints requests as they end: all of them, whatever the sampler keeps for export.
pub fn trace(mut config: Config, format: TraceFormat, filter: Filter) -> anyhow::Result<ExitCode> {
    config.trace.sampler = Sampler::AlwaysOn;
    let config = &config;
    if !config.collectors.is_on(http::FAMILY.name) {
        anyhow::bail!("collector.http is off, without which there are no requests to print");
    }
    Telemetry::start(config.log.level.into(), config.log.format)?;
    let started = Started::begin(config, &[])?;
    if !started.serves(&http::FAMILY) {
        anyhow::bail!("requests can't be seen on this host; `sonde check` says why");
    }
    let out = io::stdout();
    let format = trace::Format::choose(format, out.is_terminal(), Style::of_stdout());
    let printer = trace::Printer::new(out, format, filter);
    let (control, commands) = control::channel().context("can't make an eventfd")?;
    let (failed, failure) = mpsc::channel();
    let sink = sink(printer, control.clone(), failed);
    let worker = Worker::new(started, config, sink, Box::new(|_| {}), Box::new(|_| {}));
    stop_at_signals(control)?;
    worker.run(&commands);
    match failure.try_recv() {
        Ok(error) => Err(error).context("can't write to standard output"),
        Err(_) => Ok(ExitCode::SUCCESS),
    }
}

/// Prints spans. Where that is no longer possible the observer is told to stop, and why, unless
/// the reader has just gone away.
fn sink(
    mut printer: trace::Printer<impl Write + Send + 'static>,
    control: Sender,
    failed: mpsc::Sender<io::Error>,
) -> Sink {
    Sink::To(Box::new(move |signal| {
        let Signal::Span(span) = signal else { return };
        // The receivers are gone only when the command has ended.
        match printer.print(&span) {
            Ok(ControlFlow::Continue(())) => return,
            Ok(ControlFlow::Break(())) => {}
            Err(error) => {
                let _ = failed.send(error);
            }
        }
        let _ = control.send(Control::Stop);
    }))
}

/// Stops the observer at SIGTERM and SIGINT.
fn stop_at_signals(control: Sender) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("can't start the runtime")?;
    let wait = async move {
        if let (Ok(mut terminate), Ok(mut interrupt)) = (
            signal(SignalKind::terminate()),
            signal(SignalKind::interrupt()),
        ) {
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        }
        let _ = control.send(Control::Stop);
    };
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || runtime.block_on(wait))
        .map(drop)
        .context("can't start the signals thread")
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::SystemTime};

    use super::*;
    use crate::{
        cli::Command,
        l7::exchange::Role,
        metric::{Attributes, Resource},
        signal::{Span, SpanContext},
    };

    fn span() -> Signal {
        Signal::Span(Arc::new(Span {
            resource: Arc::new(Resource {
                attributes: Attributes::none(),
                identity: Attributes::none(),
            }),
            context: SpanContext {
                trace_id: [1; 16],
                span_id: [1; 8],
                flags: 1,
            },
            parent: None,
            name: "GET".into(),
            role: Role::Server,
            start: SystemTime::UNIX_EPOCH,
            end: SystemTime::UNIX_EPOCH,
            attributes: Attributes::none(),
            error: false,
        }))
    }

    /// Whether a span printed to `writer` stops the command, and with which error.
    fn print_to(writer: impl Write + Send + 'static) -> (bool, Option<io::ErrorKind>) {
        let (control, commands) = control::channel().unwrap();
        let (failed, failure) = mpsc::channel();
        let printer = trace::Printer::new(writer, trace::Format::Json, Filter::default());
        sink(printer, control, failed).send(span());
        let error = failure.try_recv().ok().map(|error| error.kind());
        (matches!(commands.next(), Ok(Some(Control::Stop))), error)
    }

    #[test]
    fn a_full_device_is_an_error_and_a_closed_pipe_is_none() {
        assert_eq!(print_to(io::sink()), (false, None));
        let full = std::fs::File::create("/dev/full").unwrap();
        assert_eq!(print_to(full), (true, Some(io::ErrorKind::StorageFull)));
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        assert_eq!(print_to(writer), (true, None));
    }

    #[test]
    fn without_the_collector_of_requests_there_is_nothing_to_wait_for() {
        let arguments = ["sonde", "trace", "--no-collector.http"].map(Into::into);
        let Ok(Command::Trace(sources, format, filter)) = Command::parse(arguments, []) else {
            panic!("good usage");
        };
        let error = trace(sources.resolve().unwrap(), format, filter).unwrap_err();
        assert!(error.to_string().contains("collector.http is off"));
    }
}
