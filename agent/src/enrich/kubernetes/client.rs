//! The way to the API server.

use std::path::PathBuf;

use http::Uri;
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};

use super::failure::{Failure, Trouble};

/// Who is asked, and as whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// An API server, with a token as a pod has it.
    Token {
        /// Where it is.
        server: Uri,
        /// Its token; read anew every minute, as it is replaced while pods run.
        token: PathBuf,
        /// Certificates of those who vouch for the server; read anew as well.
        authorities: PathBuf,
    },
    /// What a kubeconfig's current context says.
    Kubeconfig(PathBuf),
}

/// A client that hasn't connected yet. It is made anew when it is refused, which reads the files
/// again.
pub(super) async fn client(access: &Access) -> Result<Client, Trouble> {
    let mut config = match access {
        Access::Token {
            server,
            token,
            authorities,
        } => {
            let mut config = Config::new(server.clone());
            config.auth_info.token_file = Some(token.to_string_lossy().into_owned());
            config.root_cert_file = Some(authorities.clone());
            config
        }
        Access::Kubeconfig(path) => {
            let kubeconfig = Kubeconfig::read_from(path).map_err(Trouble::configuration)?;
            Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
                .await
                .map_err(Trouble::configuration)?
        }
    };
    // When to ask again is decided, and counted, by whoever asks.
    config.default_retry = false;
    Client::try_from(config).map_err(|error| Trouble::new(Failure::Configuration, &error))
}
