// SPDX-License-Identifier: Apache-2.0
#pragma once

// Hears of changes which the kernel announces on multicast groups. What it hears is a reason to
// look, never the new state itself: after any event the caller observes anew, and after an overrun
// (the kernel had more to say than the socket holds, ENOBUFS) it observes everything. How often to
// look is the caller's; the monitor neither waits nor retries. One thread, one namespace.

#include <cstdint>
#include <functional>
#include <initializer_list>

#include "netlink/netns.h"
#include "netlink/socket.h"

namespace cvlan::netlink {

class Monitor {
public:
    // `groups` are RTNLGRP_LINK, RTNLGRP_IPV4_ROUTE, … of `protocol` NETLINK_ROUTE.
    static Result<Monitor> open(int protocol, const NetnsFd& netns,
                                std::initializer_list<uint32_t> groups);

    int fd() const { return fd_.get(); }  // readable when read() has something

    struct Heard {
        uint64_t messages = 0;
        bool overrun = false;  // some were lost: observe everything
        bool more = false;     // stopped at the limit of one read(): fd() is still readable
    };
    // Takes what waits, at most kBatch datagrams, so that a flood can not hold the loop. `each` may
    // be empty. Messages of other senders than the kernel are ignored.
    Result<Heard> read(const std::function<void(const Reply&)>& each = {});
    static constexpr int kBatch = 256;

    uint64_t overruns() const { return overruns_; }

private:
    explicit Monitor(UniqueFd fd) : fd_(std::move(fd)) {}
    UniqueFd fd_;
    uint64_t overruns_ = 0;
};

}  // namespace cvlan::netlink
