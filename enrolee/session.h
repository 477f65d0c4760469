// SPDX-License-Identifier: Apache-2.0
#pragma once

// A node's session with its controller: the blocking query for its map on one held connection, and
// small requests on another, so that they never wait behind it. Loop thread only.

#include <functional>
#include <string>

#include "base/clock.h"
#include "enrolee/controller.h"
#include "enrolee/identity.h"
#include "model/wire.h"

namespace cvlan::enrolee {

inline constexpr std::chrono::seconds kHeldPoll{50};
inline constexpr std::chrono::minutes kRefusedPause{5};

// Why the controller no longer serves this node.
enum class Refused { No, Expired, Revoked, Deleted };
Refused refused_of(const Refusal& refusal);

struct SessionEvents {
    std::function<std::string()> since;  // "<epoch>.<revision>" or empty
    // False: there was nothing new in it, or it was refused; the next query waits a moment.
    std::function<bool(const model::wire::NodeMap&)> on_map;
    std::function<void(WallTime)> on_time;  // the controller's clock, to the second
    std::function<void()> on_confirmed;     // any answer that says the map is the current one
    std::function<void(const Refusal&)> on_failure;
};

// "Fri, 20 Nov 2026 21:00:00 GMT" (RFC 9110, 5.6.7).
Result<WallTime> parse_http_date(const std::string& text);

class Session {
public:
    struct Setup {
        ControllerOptions controller;
        uint32_t seed = 1;  // of the pauses after failures
    };
    // By the identity's certificate, which is trusted by the trust bundle.
    static Setup setup_of(const Identity& identity);
    Session(EventLoop& loop, Setup setup, SessionEvents events);

    void start();
    // Asks at once, without waiting for the query under way: after a join.
    void ask_now();
    void call(Controller::Call call, Controller::Done done) {
        small_.call(std::move(call), std::move(done));
    }

private:
    std::unique_ptr<Controller> held_connection();
    void poll();
    void poll_after(std::chrono::milliseconds delay);
    void answered(const Answer<http::Response>& answer);
    bool took_map(const std::string& body);
    void failed_with(const Refusal& refusal);

    EventLoop& loop_;
    Setup setup_;
    SessionEvents events_;
    std::unique_ptr<Controller> held_;
    Controller small_;
    Backoff backoff_;
    Backoff replaced_;  // after SESSION_REPLACED: reset only once a held query ends well
    Timer next_;
    bool is_reached_ = false;  // the last answer was a good one
    bool is_held_ = false;     // the query under way may wait for a change
};

}  // namespace cvlan::enrolee
