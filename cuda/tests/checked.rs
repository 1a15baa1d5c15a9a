//! On the stand-in, no kernel has a race, leaves its memory or reads what nobody wrote.
#![cfg(not(feature = "gpu"))]

#[path = "suite/all.rs"]
mod suite;

use infomark_cuda::Device;
use infomark_cuda_sim::{Kind, StandIn};

const ORDERS: u32 = 10;

#[test]
fn the_checker_has_nothing_to_report() -> suite::Outcome {
    let Some(stand_in) = StandIn::load(Kind::Checked)? else {
        return Ok(());
    };
    let device = Device::open()?;
    for order in 0..ORDERS {
        stand_in.set_order(order)?;
        let outcome = suite::Setting::new(&device, if order == 0 { 24 } else { 4 }, false).run();
        let reports = stand_in.take_reports()?;
        assert_eq!(reports.count, 0, "order {order}: {}", reports.text);
        outcome.map_err(|e| format!("order {order}: {e}"))?;
    }
    Ok(())
}
