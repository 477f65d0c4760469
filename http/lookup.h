// SPDX-License-Identifier: Apache-2.0
#pragma once

// One question to the resolvers of /etc/resolv.conf, or to /etc/hosts, by evdns. Calls `done` once,
// from the loop, never within the constructor; destroying it calls it off.

#include <functional>
#include <string>
#include <vector>

#include "base/event_loop.h"
#include "base/ip.h"
#include "base/result.h"

namespace cvlan::http {

class Lookup {
public:
    // Code::NotFound where the answer is that there is none, Unavailable where none came.
    using Done = std::function<void(Result<std::vector<Address>>)>;
    // Of one family (AF_INET, AF_INET6), or of both (AF_UNSPEC).
    Lookup(EventLoop& loop, const std::string& name, int af, Done done);
    ~Lookup();
    Lookup(const Lookup&) = delete;
    Lookup& operator=(const Lookup&) = delete;

private:
    struct Question;
    Question* question_;  // frees itself when evdns is done with it
    Done done_;
};

}  // namespace cvlan::http
