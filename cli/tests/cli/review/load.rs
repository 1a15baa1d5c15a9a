//! Many connections, slow ones and bodies that are too long.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use super::{Server, Workplace};

/// Processor time of a process, in hundredths of a second.
fn processor_time(process: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[test]
fn a_server_without_file_descriptors_waits_and_answers_its_page() {
    let place = Workplace::new();
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -n 40; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_infomark")]);
    let server = Server::start_by(limited, &place, "");
    let idle: Vec<TcpStream> =
        (0..60).map(|_| TcpStream::connect(("127.0.0.1", server.port)).unwrap()).collect();
    std::thread::sleep(Duration::from_millis(500));
    let (before, began) = (processor_time(server.child.id()), Instant::now());
    std::thread::sleep(Duration::from_secs(2));
    let used = processor_time(server.child.id()) - before;
    let hundredths = began.elapsed().as_millis() as u64 / 10;
    assert!(4 * used < hundredths, "{used} of {hundredths} hundredths of a second");
    assert_eq!(server.get("/api/state").0, 200);
    drop(idle);
}

#[test]
fn a_slow_upload_leaves_room_for_others() {
    let place = Workplace::new();
    let server = Server::start(&place, "");
    let mut slow = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    let head =
        format!("POST /api/add?name=slow.png HTTP/1.1\r\n{}Content-Length: 100000000\r\n\r\n", server.own());
    slow.write_all(head.as_bytes()).unwrap();
    slow.write_all(&[0; 1000]).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let began = Instant::now();
    // Longer than an ordinary request; no image, so that the answer says so.
    let (status, _) = server.ask_with("POST", "/api/add?name=a.png", &server.own(), &vec![0; 3 << 20]);
    assert_eq!(status, 422);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[test]
fn a_body_that_is_too_long_is_answered() {
    let place = Workplace::new();
    let server = Server::start(&place, "");
    let long = vec![b'x'; 17 << 20];
    for (path, headers, expected) in [
        ("/api/import", server.own(), 413),
        ("/api/match", server.own(), 413),
        ("/api/match", format!("Host: 127.0.0.1:{}\r\n", server.port), 401),
    ] {
        let (status, said) = server.ask_with("POST", path, &headers, &long);
        assert_eq!(status, expected, "{path}");
        assert!(said["error"].is_string(), "{path}: {said}");
    }
    // In pieces, without a length.
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    let head = format!(
        "POST /api/match HTTP/1.1\r\n{}Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n",
        server.own()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let piece = [b"10000\r\n".as_slice(), &[b'x'; 1 << 16], b"\r\n"].concat();
    for _ in 0..40 {
        stream.write_all(&piece).unwrap();
    }
    stream.write_all(b"0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    // Whoever asks before sending is answered before.
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    let head = format!(
        "POST /api/match HTTP/1.1\r\n{}Connection: close\r\nExpect: 100-continue\r\nContent-Length: 99999999\r\n\r\n",
        server.own()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(answer.starts_with(b"HTTP/1.1 413"), "{}", String::from_utf8_lossy(&answer));
}
