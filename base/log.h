// SPDX-License-Identifier: Apache-2.0
#pragma once

// One logfmt line an event, on standard error: `time=… level=info event=wg.peer_set dev=cv0
// peer=4fQx…`. Event ids and their keys are listed in docs/LOGGING.md (scripts/check-log-keys).
// Values are made printable and quoted where needed, so a remote string can not forge a line. Never
// log a key, a token or a request body. Safe from any thread.

#include <fmt/format.h>

#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "base/result.h"

namespace cvlan::log {

enum class Level { Debug, Info, Warn, Error };

struct Field {
    template <class T>
    Field(std::string_view name, const T& of) : key(name), value(fmt::format("{}", of)) {}
    std::string_view key;
    std::string value;
};
using Fields = std::initializer_list<Field>;

void debug(std::string_view event, Fields fields = {});  // per message
void info(std::string_view event, Fields fields = {});   // state changed
void warn(std::string_view event, Fields fields = {});   // degraded, retrying
void error(std::string_view event, Fields fields = {});  // a human must act

// While it lives, lines of this thread end with trace=…: what is done for one request is found by
// it, over programs too. `trace_id` outlives it.
class Trace {
public:
    explicit Trace(std::string_view trace_id);
    ~Trace();
    Trace(const Trace&) = delete;
    Trace& operator=(const Trace&) = delete;

private:
    std::string_view before_;
};

void set_level(Level level);
// Whether such a line is written: to be asked where its fields would cost more than what it tells.
bool is_written(Level level);
Result<Level> parse_level(std::string_view text);  // debug, info, warn, error
// The line as it would be written, without time: for tests.
std::string format_line(Level level, std::string_view event, Fields fields);

}  // namespace cvlan::log
