//! The memory budget: shares are waited for, in the order of asking, and nothing waits for itself.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use infomark_infer::{MemoryBudget, MemoryError};

#[test]
fn shares_are_waited_for_and_never_exceed_the_budget() {
    let budget = MemoryBudget::new(100);
    thread::scope(|scope| {
        for need in [60, 30, 70, 40, 100, 10, 50, 20] {
            let budget = &budget;
            scope.spawn(move || {
                for _ in 0..20 {
                    let share = budget.take(need, None).unwrap();
                    let used = budget.used();
                    assert!((need..=100).contains(&used), "{used} of 100 used with {need}");
                    thread::yield_now();
                    drop(share);
                }
            });
        }
    });
    assert_eq!(budget.used(), 0);
}

#[test]
fn who_asks_for_much_is_not_overtaken_for_ever() {
    let budget = MemoryBudget::new(100);
    let first = budget.take(60, None).unwrap();
    let (told, hears) = mpsc::channel();
    thread::scope(|scope| {
        for need in [90, 20] {
            let (told, budget) = (told.clone(), &budget);
            scope.spawn(move || {
                let share = budget.take(need, None).unwrap();
                told.send(need).unwrap();
                drop(share);
            });
            // The second comes after the first has begun to wait.
            thread::sleep(Duration::from_millis(100));
        }
        assert!(hears.try_recv().is_err(), "20 would fit, but 90 came first");
        drop(first);
    });
    assert_eq!(hears.try_iter().collect::<Vec<_>>(), [90, 20]);
}

#[test]
fn a_thread_does_not_wait_for_itself() {
    let budget = MemoryBudget::new(100);
    let outer = budget.take(80, None).unwrap();
    // Within the share that it holds, nothing more is drawn; beyond it, the rest is counted.
    let inner = budget.take(50, None).unwrap();
    assert_eq!(budget.used(), 80);
    drop(inner);
    let inner = budget.take(95, None).unwrap();
    assert_eq!(budget.used(), 95);
    drop((inner, outer));
    assert_eq!(budget.used(), 0);
}

#[test]
fn what_never_fits_or_comes_too_late_is_refused() {
    let budget = MemoryBudget::new(100);
    let never = budget.take(101, None).unwrap_err();
    assert_eq!(never, MemoryError::NeverFits { needed: 101, most: 100 });
    thread::scope(|scope| {
        let share = budget.take(90, None).unwrap();
        let late =
            scope.spawn(|| budget.take(20, Instant::now().checked_add(Duration::from_millis(50))).err());
        assert_eq!(late.join().unwrap(), Some(MemoryError::TimedOut));
        let waits = scope.spawn(|| budget.take(95, None).err());
        thread::sleep(Duration::from_millis(50));
        // A smaller budget lets go of who waits for more.
        budget.set_bytes(92);
        assert_eq!(waits.join().unwrap(), Some(MemoryError::NeverFits { needed: 95, most: 92 }));
        drop(share);
    });
    assert!(MemoryBudget::of_process().bytes() >= 64 << 20);
}
