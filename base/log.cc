// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "base/bytes.h"
#include "base/clock.h"

namespace cvlan::log {

namespace {

thread_local std::string_view trace_of_thread;

constexpr std::string_view kNames[] = {"debug", "info", "warn", "error"};

spdlog::logger& logger() {
    // The one global of the program: standard error is one, too.
    static const auto made = [] {
        auto to_stderr = std::make_shared<spdlog::logger>(
            "cvlan", std::make_shared<spdlog::sinks::stderr_sink_mt>());
        to_stderr->set_pattern("%v");
        to_stderr->flush_on(spdlog::level::trace);
        return to_stderr;
    }();
    return *made;
}

spdlog::level::level_enum spdlog_level(Level level) {
    switch (level) {
        case Level::Debug:
            return spdlog::level::debug;
        case Level::Info:
            return spdlog::level::info;
        case Level::Warn:
            return spdlog::level::warn;
        case Level::Error:
            return spdlog::level::err;
    }
    return spdlog::level::err;
}

std::string quoted(std::string_view value) {
    std::string safe = printable(value);
    const bool plain = !safe.empty() && safe.find_first_of(" =\"\\") == std::string::npos;
    if (plain) return safe;
    std::string text = "\"";
    for (char c : safe) {
        if (c == '"' || c == '\\') text += '\\';
        text += c;
    }
    return text + '"';
}

void write(Level level, std::string_view event, Fields fields) {
    if (!is_written(level)) return;
    logger().log(spdlog_level(level), "time={} {}", rfc3339(SystemClock().now()),
                 format_line(level, event, fields));
}

}  // namespace

std::string format_line(Level level, std::string_view event, Fields fields) {
    std::string line = fmt::format("level={} event={}", kNames[static_cast<int>(level)], event);
    for (const Field& field : fields) line += fmt::format(" {}={}", field.key, quoted(field.value));
    if (!trace_of_thread.empty()) line += fmt::format(" trace={}", quoted(trace_of_thread));
    return line;
}

Trace::Trace(std::string_view trace_id) : before_(std::exchange(trace_of_thread, trace_id)) {}
Trace::~Trace() { trace_of_thread = before_; }

void debug(std::string_view event, Fields fields) { write(Level::Debug, event, fields); }
void info(std::string_view event, Fields fields) { write(Level::Info, event, fields); }
void warn(std::string_view event, Fields fields) { write(Level::Warn, event, fields); }
void error(std::string_view event, Fields fields) { write(Level::Error, event, fields); }

bool is_written(Level level) { return logger().should_log(spdlog_level(level)); }

void set_level(Level level) { logger().set_level(spdlog_level(level)); }

Result<Level> parse_level(std::string_view text) {
    for (int i = 0; i < 4; ++i)
        if (text == kNames[i]) return static_cast<Level>(i);
    return fail(Code::Invalid, "'{}' is no log level: debug, info, warn or error", text);
}

}  // namespace cvlan::log
