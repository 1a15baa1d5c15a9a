//! On the stand-in for the driver, every kernel gives what it has to, in every order of threads.
#![cfg(not(feature = "gpu"))]

#[path = "suite/all.rs"]
mod suite;

use infomark_cuda::Device;
use infomark_cuda_sim::{Kind, StandIn};

/// Forward, reverse, and random orders.
const ORDERS: u32 = 10;

#[test]
fn kernels_give_the_cores_results() -> suite::Outcome {
    if StandIn::load(Kind::Plain)?.is_none() {
        return Ok(());
    }
    suite::Setting::new(&Device::open()?, 192, true).run().map(drop)
}

#[test]
fn kernels_give_the_cores_results_in_every_order() -> suite::Outcome {
    suite::in_own_process("every_order")
}

#[test]
#[ignore = "the test above runs it in a process of its own, as a process has one order"]
fn every_order() -> suite::Outcome {
    let Some(stand_in) = StandIn::load(Kind::Plain)? else {
        return Ok(());
    };
    let device = Device::open()?;
    let mut first = None;
    for order in 0..ORDERS {
        stand_in.set_order(order)?;
        if order > 0 {
            suite::Setting::new(&device, 16, order == 2).run().map_err(|e| format!("order {order}: {e}"))?;
        }
        // The same bits whatever the order.
        let digest = suite::Setting::new(&device, 4, false).run()?;
        assert_eq!(digest, *first.get_or_insert(digest), "order {order}");
    }
    Ok(())
}
