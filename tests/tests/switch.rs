//! An address that stays while what is behind it changes: an app's address is in the table, and each life of a process
//! has a proxy of its own.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// The address. It goes away when this is dropped.
pub(crate) struct Switch {
    address: SocketAddr,
    to: watch::Sender<SocketAddr>,
    serving: JoinHandle<()>,
}

impl Switch {
    pub(crate) async fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (to, now) = watch::channel(to);
        let serving = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut client, _)) = listener.accept().await {
                let to = *now.borrow();
                connections.spawn(async move {
                    let mut server = TcpStream::connect(to).await?;
                    copy_bidirectional(&mut client, &mut server).await
                });
            }
        });
        Self { address, to, serving }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections that are made from now on lead there.
    pub(crate) fn lead_to(&self, to: SocketAddr) {
        self.to.send_replace(to);
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
