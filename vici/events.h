// SPDX-License-Identifier: Apache-2.0
#pragma once

// What charon says by itself, on a connection of its own that is always drained: charon keeps what
// a client does not read. Loop thread only; nothing here blocks.
//
// An event is a reason to look, as netlink::Monitor has it. Between two connections charon may have
// done anything, or be another: on_listening says so each time, and whoever listens observes anew.
// What can not be read ends the connection, and the next one says the same. It connects again by
// itself after a wait that grows to Session::kMostWait.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/event_loop.h"
#include "base/result.h"
#include "vici/message.h"
#include "vici/socket.h"

namespace cvlan::vici {

struct EventsOptions {
    SocketAt at{};
    std::vector<std::string> names{"ike-updown", "child-updown", "ike-rekey", "child-rekey"};
    std::chrono::milliseconds confirm_limit{5000};  // for charon to confirm all names
    uint32_t seed = 1;                              // of the wait's jitter
};

// Each is called from the loop, never from within a call of Events; none may destroy it.
struct EventHandlers {
    // charon has confirmed all names. What was before is not known.
    std::function<void()> on_listening{};
    // An error (Code::Malformed) says that the event is none: the connection ends.
    std::function<Result<void>(std::string_view name, const Message& event)> on_event{};
    // It is down, or did not come up.
    std::function<void(const Error& why)> on_down{};
};

class Events {
public:
    // Of one turn of the loop, so that a flood does not hold it.
    static constexpr size_t kMostATurn = 1024 * 1024;

    // Begins at once; the first connection is made from the loop.
    Events(EventLoop& loop, EventsOptions options, EventHandlers handlers);
    ~Events();
    Events(const Events&) = delete;
    Events& operator=(const Events&) = delete;

    bool is_listening() const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace cvlan::vici
