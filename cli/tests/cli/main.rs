//! The program as its users meet it: arguments, files, exit codes.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod anatomy;
mod bad_input;
mod book;
mod cluster;
mod demo;
mod describe;
mod evaluate;
mod experiment;
mod formats;
mod help;
mod hostile;
mod landmarks;
mod learning_loop;
mod map;
mod matching;
mod measure;
mod messages;
mod psi;
mod refine;
mod report;
mod review;
mod support;
mod train;
mod tune;
