//! Needs Tauri 2 with `tauri-plugin-shell`, and serde_json. Copy `dist/asrpro-TRIPLE` with its name to
//! `src-tauri/binaries`; Tauri picks the file for the target. A sidecar that Rust starts needs no permission.

use tauri::{Emitter, Manager};
use tauri_plugin_shell::{process::CommandEvent, ShellExt};

fn main() {
    tauri::Builder::default()
        .plugin(tauri_plugin_shell::init())
        .setup(|app| {
            let home = app.path().app_data_dir()?.join("asrpro");
            // The plugin keeps the sidecar's stdin open while the app lives, so --watch-stdin ends asrpro with the app.
            let (mut events, child) = app
                .shell()
                .sidecar("asrpro")?
                .env("ASRPRO_HOME", home)
                .args(["serve", "--port", "0", "--watch-stdin"])
                .spawn()?;
            app.manage(child);
            let window = app.handle().clone();
            tauri::async_runtime::spawn(async move {
                while let Some(event) = events.recv().await {
                    match event {
                        // The only line on stdout: `{"event":"ready","url":…}`, or why asrpro cannot start.
                        CommandEvent::Stdout(line) => {
                            let first: serde_json::Value = serde_json::from_slice(&line).unwrap_or_default();
                            let _ = window.emit("asrpro", first);
                        }
                        CommandEvent::Stderr(line) => eprintln!("{}", String::from_utf8_lossy(&line)),
                        CommandEvent::Terminated(end) => {
                            let _ = window.emit("asrpro-exit", end.code);
                        }
                        _ => {}
                    }
                }
            });
            Ok(())
        })
        .run(tauri::generate_context!())
        .expect("the app runs");
}
