//! The checker finds planted bugs, in every order of threads, and reports nothing of correct kernels.

use infomark_cuda_sim::{Kind, Launch, Reports, StandIn, StandInError};

const BLOCK: Launch = Launch { blocks: 1, threads: 64 };
const ORDERS: u32 = 10;

/// Kernels, the same with a bug, and what the report has to name.
const PAIRS: [(&str, &str, &str); 6] = [
    ("barrier_there", "barrier_missing", "race in shared memory"),
    ("addition_atomic", "addition_plain", "race in shared memory"),
    ("difference", "difference_off_by_one", "out of bounds: read of 4 bytes"),
    ("shared_inside", "shared_off_by_one", "out of bounds: read of 4 bytes"),
    ("shuffle_of_all", "shuffle_of_some", "lane that has exited"),
    ("shared_set", "shared_unset", "uninitialised"),
];

fn reports(stand_in: StandIn, kernel: &str, launch: Launch, order: u32) -> Result<Reports, StandInError> {
    // Every second one negative.
    let input: Vec<i32> = (0..64).map(|i| if i % 2 == 0 { i } else { -i }).collect();
    stand_in.set_order(order)?;
    match stand_in.run(kernel, launch, &input, 128) {
        // Threads that wait for ever are an error of the launch too.
        Ok(_) | Err(StandInError::Call { .. }) => stand_in.take_reports(),
        Err(error) => Err(error),
    }
}

#[test]
fn planted_bugs_are_found_and_nothing_else() -> Result<(), StandInError> {
    let Some(stand_in) = StandIn::load(Kind::PlantedChecked)? else {
        return Ok(());
    };
    for order in 0..ORDERS {
        for (right, wrong, expected) in PAIRS {
            let found = reports(stand_in, right, BLOCK, order)?;
            assert_eq!(found.count, 0, "{right} in order {order}: {}", found.text);
            let found = reports(stand_in, wrong, BLOCK, order)?;
            assert!(found.text.contains(expected), "{wrong} in order {order}: {found:?}");
            assert!(found.text.contains(wrong), "{wrong} in order {order}: {found:?}");
        }
        let two = Launch { blocks: 2, threads: 64 };
        let found = reports(stand_in, "blocks_apart", two, order)?;
        assert_eq!(found.count, 0, "order {order}: {}", found.text);
        let found = reports(stand_in, "blocks_meet", two, order)?;
        assert!(
            found.text.contains("race in global memory") || found.text.contains("uninitialised"),
            "order {order}: {found:?}"
        );
        let found = reports(stand_in, "barrier_of_some", BLOCK, order)?;
        assert!(found.text.contains("barrier after other threads"), "order {order}: {found:?}");
    }
    Ok(())
}
