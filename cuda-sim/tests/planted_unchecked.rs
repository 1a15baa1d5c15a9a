//! Why the checker is needed: some planted bugs change no value, whatever the order of the threads.

use infomark_cuda_sim::{Kind, Launch, StandIn, StandInError};

#[test]
fn values_alone_do_not_show_a_plain_addition() -> Result<(), StandInError> {
    let Some(stand_in) = StandIn::load(Kind::Planted)? else {
        return Ok(());
    };
    let input: Vec<i32> = (0..64).collect();
    for order in 0..10 {
        stand_in.set_order(order)?;
        for kernel in ["addition_atomic", "addition_plain"] {
            let out = stand_in.run(kernel, Launch { blocks: 1, threads: 64 }, &input, 4)?;
            assert_eq!(out, [16; 4], "{kernel} in order {order}");
        }
        assert_eq!(stand_in.take_reports()?.count, 0);
    }
    Ok(())
}
