use vernal::BoxError;

use super::{Step, Story};

impl Story {
    /// Changes the world so that what `step` shows is no longer true.
    pub(super) async fn disturb(&mut self, step: Step) -> Result<(), BoxError> {
        match step {
            Step::Config => {
                if let Some(config) = self.estate.config.take() {
                    config.stop().await;
                }
            }
            // The same text under another key: its digits are turned round.
            Step::Cipher => self.estate.edit("user-service.yml", "{cipher}0c7649b1", "{cipher}1b9467c0")?,
            Step::Registration => {
                if let Some(registry) = self.estate.registry.take() {
                    registry.stop().await;
                }
            }
            Step::Gateway | Step::Url => {
                if let Some(gateway) = self.estate.gateway.take() {
                    gateway.stop().await;
                }
            }
            Step::Name | Step::Feign | Step::NotFound | Step::ServerError => {
                for order in self.estate.orders.drain(..) {
                    order.stop().await;
                }
            }
            Step::Data => {
                if let Some(second) = self.estate.orders.pop() {
                    second.stop().await;
                }
                let apart = self.estate.other_database();
                self.estate.order_service(&apart).await?;
            }
            Step::FailOver => self.estate.orders.clear(),
            Step::Refresh => {
                if let Some(broker) = self.estate.broker.take() {
                    broker.stop().await;
                }
            }
            Step::Leave => {
                if let Some(registry) = &self.estate.registry {
                    registry.fail_with(500);
                }
            }
        }
        Ok(())
    }
}
