#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| infomark_tests::core_fuzz::align(data));
