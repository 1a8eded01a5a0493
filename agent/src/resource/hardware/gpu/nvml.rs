//! What NVIDIA's management library says, asked on a thread of its own.
//!
//! A call into a driver whose GPU has fallen off the bus may never come back, so no snapshot waits
//! for longer than [`PATIENCE`]. The library is opened by that thread, once, and closed when the
//! [`Library`] is dropped.

use std::{
    ffi::OsString,
    sync::mpsc::{Receiver, Sender, TryRecvError, channel},
    thread,
    time::Duration,
};

use nvml_wrapper::{
    Device, Nvml,
    enum_wrappers::device::{
        EccCounter, MemoryError, PerformancePolicy, TemperatureSensor, TemperatureThreshold,
    },
    error::NvmlError,
};

/// How long a snapshot waits for an answer.
const PATIENCE: Duration = Duration::from_millis(300);
/// More GPUs than this are left out and counted.
const MAX_GPUS: u32 = 64;
/// GPUs that are slowed down, by what slows them.
pub(super) const POLICIES: [PerformancePolicy; 4] = [
    PerformancePolicy::Power,
    PerformancePolicy::Thermal,
    PerformancePolicy::BoardLimit,
    PerformancePolicy::Reliability,
];

/// What one GPU says; each part is `None` where this GPU or driver can't tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reading {
    /// `GPU-` and a UUID, else `gpu` and its number.
    pub(super) id: String,
    pub(super) name: String,
    /// Percent of the last sampling period (1/6 s to 1 s) in which a kernel ran.
    pub(super) busy: Option<u32>,
    pub(super) encoder: Option<u32>,
    pub(super) decoder: Option<u32>,
    /// Bytes.
    pub(super) memory_used: Option<u64>,
    pub(super) memory_total: Option<u64>,
    /// Degrees Celsius.
    pub(super) temperature: Option<u32>,
    pub(super) slowdown: Option<u32>,
    pub(super) shutdown: Option<u32>,
    /// Milliwatts.
    pub(super) power: Option<u32>,
    pub(super) power_limit: Option<u32>,
    /// Millijoules since the driver was loaded.
    pub(super) energy: Option<u64>,
    /// Memory errors since the driver was loaded.
    pub(super) corrected: Option<u64>,
    pub(super) uncorrected: Option<u64>,
    pub(super) pcie_replays: Option<u64>,
    /// Nanoseconds by [`POLICIES`].
    pub(super) held_back: [Option<u64>; POLICIES.len()],
}

/// What came of a look at all GPUs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) gpus: Vec<Reading>,
    /// GPUs that could not be asked.
    pub(super) lost: u64,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Silence {
    /// There is no library, or it doesn't work: there is no use in asking again soon.
    Unusable,
    /// It is still being opened, which may take seconds for GPUs that were off.
    Opening,
    /// It does not answer.
    Stuck,
}

/// The library, or the attempt to open it.
#[derive(Debug)]
pub(super) struct Library {
    requests: Sender<()>,
    answers: Receiver<Answer>,
    is_open: bool,
    /// A request that has not been answered yet.
    is_waiting: bool,
}

impl Library {
    /// Starts to open the library with this path, or name for the dynamic linker to look for.
    /// `None` if the host has no thread left to give.
    pub(super) fn open(path: OsString) -> Option<Self> {
        let (requests, inbox) = channel::<()>();
        let (outbox, answers) = channel();
        let work = move || {
            let nvml = match Nvml::builder().lib_path(&path).init() {
                Ok(nvml) => nvml,
                Err(error) => {
                    tracing::debug!(error = &error as &dyn std::error::Error, "no NVML");
                    return;
                }
            };
            for () in inbox {
                if outbox.send(look(&nvml)).is_err() {
                    return;
                }
            }
        };
        thread::Builder::new()
            .name("nvml".into())
            .spawn(work)
            .ok()?;
        Some(Self {
            requests,
            answers,
            is_open: false,
            is_waiting: false,
        })
    }

    /// Asks all GPUs.
    pub(super) fn ask(&mut self) -> Result<Answer, Silence> {
        if self.is_waiting {
            // The answer to an earlier question is old by now.
            match self.answers.try_recv() {
                Ok(_) => self.is_waiting = false,
                Err(TryRecvError::Empty) => return Err(self.silence()),
                Err(TryRecvError::Disconnected) => return Err(Silence::Unusable),
            }
            self.is_open = true;
        }
        self.requests.send(()).map_err(|_| Silence::Unusable)?;
        self.is_waiting = true;
        match self.answers.recv_timeout(PATIENCE) {
            Ok(answer) => {
                self.is_waiting = false;
                self.is_open = true;
                Ok(answer)
            }
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => Err(self.silence()),
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => Err(Silence::Unusable),
        }
    }

    fn silence(&self) -> Silence {
        if self.is_open {
            Silence::Stuck
        } else {
            Silence::Opening
        }
    }
}

fn look(nvml: &Nvml) -> Answer {
    let count = match nvml.device_count() {
        Ok(count) => count,
        Err(error) => {
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                "GPUs can't be counted"
            );
            return Answer {
                gpus: Vec::new(),
                lost: 1,
            };
        }
    };
    let asked = 0..count.min(MAX_GPUS);
    let gpus: Vec<_> = asked
        .filter_map(|number| {
            let device = nvml.device_by_index(number);
            Some(reading(number, &device.ok()?))
        })
        .collect();
    Answer {
        lost: u64::from(count).saturating_sub(gpus.len() as u64),
        gpus,
    }
}

fn reading(number: u32, gpu: &Device<'_>) -> Reading {
    let memory = told(gpu.memory_info());
    let threshold = |kind| told(gpu.temperature_threshold(kind));
    let errors = |kind| told(gpu.total_ecc_errors(kind, EccCounter::Volatile));
    let busy = told(gpu.utilization_rates());
    let [encoder, decoder] = [gpu.encoder_utilization(), gpu.decoder_utilization()].map(told);
    Reading {
        id: told(gpu.uuid()).unwrap_or_else(|| format!("gpu{number}")),
        name: told(gpu.name()).unwrap_or_else(|| format!("gpu{number}")),
        busy: busy.map(|rates| rates.gpu),
        encoder: encoder.map(|encoder| encoder.utilization),
        decoder: decoder.map(|decoder| decoder.utilization),
        memory_used: memory.as_ref().map(|memory| memory.used),
        memory_total: memory.map(|memory| memory.total),
        temperature: told(gpu.temperature(TemperatureSensor::Gpu)),
        slowdown: threshold(TemperatureThreshold::Slowdown),
        shutdown: threshold(TemperatureThreshold::Shutdown),
        power: told(gpu.power_usage()),
        power_limit: told(gpu.enforced_power_limit()),
        energy: told(gpu.total_energy_consumption()),
        corrected: errors(MemoryError::Corrected),
        uncorrected: errors(MemoryError::Uncorrected),
        pcie_replays: told(gpu.pcie_replay_counter()).map(u64::from),
        held_back: POLICIES.map(|policy| Some(told(gpu.violation_status(policy))?.violation_time)),
    }
}

/// What can be told here. Most GPUs lack something, such as ECC, which is no failure.
fn told<T>(result: Result<T, NvmlError>) -> Option<T> {
    result
        .inspect_err(|error| tracing::trace!(error = error as &dyn std::error::Error, "not told"))
        .ok()
}
