//! Which `CronJob` a Job belongs to. The pod doesn't tell, so the API is asked, once for each Job.

use std::{collections::HashMap, sync::Arc, time::Duration};

use kube::{Api, Client};
use tokio::time::{Instant, timeout};

use super::{
    failure::{Failure, Trouble},
    object::JobObject,
    owner::{self, Workload},
    pod::Pod,
};

/// Most Jobs that are remembered.
const CAPACITY: usize = 1024;
/// Time for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// For how long it isn't asked again who has refused.
const REFUSED_FOR: Duration = Duration::from_mins(10);

/// Namespace and name.
type JobName = (Arc<str>, Arc<str>);

/// What the API said of Jobs.
#[derive(Debug, Default)]
pub(super) struct CronJobs {
    /// `None` for a Job by itself.
    known: HashMap<JobName, Option<Arc<str>>>,
    refused: Option<Instant>,
}

impl CronJobs {
    /// Completes a pod of a Job. A failure is worth another try, but for a missing role: the pod
    /// then stays one of its Job.
    pub(super) async fn complete(&mut self, client: &Client, pod: &mut Pod) -> Result<(), Trouble> {
        let namespace = Arc::clone(&pod.namespace);
        if let Some(Workload::Job { name, cron_job }) = &mut pod.workload {
            *cron_job = self.find(client, (namespace, Arc::clone(name))).await?;
        }
        Ok(())
    }

    async fn find(&mut self, client: &Client, key: JobName) -> Result<Option<Arc<str>>, Trouble> {
        if let Some(cron_job) = self.known.get(&key) {
            return Ok(cron_job.clone());
        }
        if self.refused.is_some_and(|at| at.elapsed() < REFUSED_FOR) {
            return Ok(None);
        }
        let found = ask(client, &key.0, &key.1).await;
        if let Err(trouble) = &found
            && trouble.failure == Failure::Forbidden
        {
            tracing::warn!(
                error = trouble.text,
                "pods of CronJobs are named after their Jobs: the role to read Jobs is missing"
            );
            self.refused = Some(Instant::now());
            return Ok(None);
        }
        let found = found?;
        if self.known.len() >= CAPACITY {
            // Only a cache: those still in use come back with their next pod.
            self.known.clear();
        }
        self.known.insert(key, found.clone());
        Ok(found)
    }
}

async fn ask(client: &Client, namespace: &str, name: &str) -> Result<Option<Arc<str>>, Trouble> {
    let jobs = Api::<JobObject>::namespaced(client.clone(), namespace);
    let answer = timeout(PATIENCE, jobs.get_metadata_opt(name)).await;
    let answer = answer.map_err(|_| Trouble::said(Failure::Timeout, "no answer about a Job"))?;
    Ok(answer?.and_then(|job| owner::cron_job(&job.metadata)))
}
