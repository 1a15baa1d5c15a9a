//! On the stand-in, no kernel has a race, leaves its memory or reads what nobody wrote.
#![cfg(not(feature = "gpu"))]

#[path = "suite/all.rs"]
mod suite;

use infomark_cuda::Device;
use infomark_cuda_sim::{Kind, StandIn};

const ORDERS: u32 = 10;

/// Runs so many cases in an order; nothing may be reported.
fn check(stand_in: StandIn, device: &Device, order: u32, cases: u32) -> suite::Outcome {
    stand_in.set_order(order)?;
    let outcome = suite::Setting::new(device, cases, false).run();
    let reports = stand_in.take_reports()?;
    assert_eq!(reports.count, 0, "order {order}: {}", reports.text);
    outcome.map(drop).map_err(|e| format!("order {order}: {e}").into())
}

#[test]
fn the_checker_has_nothing_to_report() -> suite::Outcome {
    let Some(stand_in) = StandIn::load(Kind::Checked)? else {
        return Ok(());
    };
    check(stand_in, &Device::open()?, 0, 24)
}

#[test]
fn the_checker_has_nothing_to_report_in_other_orders() -> suite::Outcome {
    suite::in_own_process("other_orders")
}

#[test]
#[ignore = "the test above runs it in a process of its own, as a process has one order"]
fn other_orders() -> suite::Outcome {
    let Some(stand_in) = StandIn::load(Kind::Checked)? else {
        return Ok(());
    };
    let device = Device::open()?;
    (1..ORDERS).try_for_each(|order| check(stand_in, &device, order, 4))
}
