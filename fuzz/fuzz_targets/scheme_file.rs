#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| infomark_tests::infer_mutate::any_scheme(data));
