// SPDX-License-Identifier: Apache-2.0
#pragma once

// Keeps an identity's certificate fresh: at two thirds of its life another is asked for, with
// another key. Loop thread only.

#include <functional>

#include "base/clock.h"
#include "enrolee/identity.h"
#include "enrolee/session.h"

namespace cvlan::enrolee {

class Renewal {
public:
    struct Events {
        std::function<Result<void>()> save;  // the identity, on the disk
        // In the identity and on the disk: with its first use the controller forgets the old one.
        std::function<void()> on_renewed;
        std::function<void(const Error&)> on_failed;
    };
    Renewal(const Clock& clock, Identity& identity, Events events)
        : clock_(clock), identity_(identity), events_(std::move(events)) {}

    // Asks where it is due; once in half an hour at most.
    void ask_if_due(Session& session);
    // The session is gone, and with it the answer.
    void forget() { is_asking_ = false; }

private:
    Result<std::string> request();
    Result<void> take(const Answer<http::Response>& answer);

    const Clock& clock_;
    Identity& identity_;
    Events events_;
    bool is_asking_ = false;
    BootTime not_before_{};
};

}  // namespace cvlan::enrolee
