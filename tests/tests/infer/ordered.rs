//! Parallel maps whose results come in order.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread::sleep;
use std::time::Duration;

use infomark_infer::{AHEAD, Next, ordered};

/// Waits for what other threads do, for at most ten seconds.
fn wait_for(done: impl Fn() -> bool) {
    for _ in 0..10_000 {
        if done() {
            return;
        }
        sleep(Duration::from_millis(1));
    }
    panic!("it did not come about");
}

#[test]
fn results_come_in_the_order_of_the_list_on_any_number_of_threads() {
    for threads in [0, 1, 2, 7, 300] {
        let items: Vec<u64> = (0..200).collect();
        let work = |item: &u64| {
            // Later items are done first.
            sleep(Duration::from_micros(200 - item));
            if item.is_multiple_of(5) { Err(*item) } else { Ok(2 * item) }
        };
        let results: Vec<_> = ordered(items, threads, Arc::default(), work).unwrap().collect();
        let expected: Vec<_> = (0..200)
            .map(|item| if u64::is_multiple_of(item, 5) { Err(item) } else { Ok(2 * item) })
            .collect();
        assert_eq!(results, expected, "{threads} threads");
    }
    assert_eq!(ordered(Vec::<u8>::new(), 3, Arc::default(), |item| *item).unwrap().next(), None);
}

#[test]
fn no_more_is_begun_than_threads_and_a_constant_before_a_result_is_taken() {
    let (begun, at_once, most) =
        (Arc::new(AtomicUsize::new(0)), AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let (count, largest) = (Arc::clone(&begun), Arc::clone(&most));
    let work = move |_: &usize| {
        largest.fetch_max(1 + at_once.fetch_add(1, SeqCst), SeqCst);
        count.fetch_add(1, SeqCst);
        sleep(Duration::from_micros(100));
        at_once.fetch_sub(1, SeqCst);
    };
    let mut results = ordered((0..1000).collect(), 3, Arc::default(), work).unwrap();
    for given in 0..5 {
        wait_for(|| begun.load(SeqCst) == 3 + AHEAD + given);
        // Nobody goes further.
        sleep(Duration::from_millis(20));
        assert_eq!(begun.load(SeqCst), 3 + AHEAD + given);
        assert_eq!(results.next(), Some(()));
    }
    assert_eq!(results.count(), 995);
    assert!(most.load(SeqCst) <= 3);
}

#[test]
fn once_stopped_what_was_begun_is_given_out_and_no_more() {
    let (stop, begun) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&begun);
    let work = move |item: &usize| {
        count.fetch_add(1, SeqCst);
        sleep(Duration::from_millis(2));
        *item
    };
    let mut results = ordered((0..1000).collect(), 2, Arc::clone(&stop), work).unwrap();
    assert_eq!(results.next(), Some(0));
    stop.store(true, SeqCst);
    let rest: Vec<usize> = results.by_ref().collect();
    assert_eq!(rest, (1..begun.load(SeqCst)).collect::<Vec<_>>());
    assert!(rest.len() < 100, "{}", rest.len());
    assert_eq!(results.next(), None);
}

#[test]
fn dropping_it_begins_nothing_further_and_waits_for_nothing() {
    let begun = Arc::new(AtomicUsize::new(0));
    let (count, go) = (Arc::clone(&begun), Arc::new(AtomicBool::new(false)));
    let gate = Arc::clone(&go);
    let work = move |_: &usize| {
        count.fetch_add(1, SeqCst);
        while !gate.load(SeqCst) {
            sleep(Duration::from_millis(1));
        }
    };
    let mut results = ordered((0..100).collect(), 2, Arc::default(), work).unwrap();
    wait_for(|| begun.load(SeqCst) == 2);
    assert_eq!(results.next_within(Duration::ZERO), Next::Pending);
    assert_eq!(results.next_within(Duration::from_millis(5)), Next::Pending);
    drop(results);
    go.store(true, SeqCst);
    sleep(Duration::from_millis(50));
    assert_eq!(begun.load(SeqCst), 2);
}

#[test]
fn a_panic_is_that_of_the_caller_and_then_the_end() {
    let work = |item: &usize| {
        assert!(*item != 3, "planted");
        *item
    };
    let mut results = ordered((0..50).collect(), 2, Arc::default(), work).unwrap();
    let seen = catch_unwind(AssertUnwindSafe(|| results.by_ref().count()));
    let payload = seen.unwrap_err();
    assert!(payload.downcast_ref::<&str>().is_some_and(|text| text.contains("planted")));
    assert_eq!(results.next(), None);
}
