// SPDX-License-Identifier: Apache-2.0
#pragma once

// From a name to a connected socket: resolves with evdns, then tries the addresses of both families
// in turn, each 250 ms after the one before or at once when that fails (RFC 8305). No segment of
// the connection is larger than what passes a hop of 1280 bytes. Calls `done` once, from the loop;
// destroying the Connector calls it off.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/event_loop.h"
#include "base/ip.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "http/lookup.h"

namespace cvlan::http {

struct ConnectTarget {
    std::string host;
    uint16_t port = 0;
    std::vector<Address> addresses{};  // instead of resolving `host`
    std::string unix_path{};           // instead of all of that
    uint32_t fwmark = 0;
    std::function<bool(const Address&)> may_connect{};  // of each address; not set: any
};

class Connector {
public:
    using Done = std::function<void(Result<UniqueFd>)>;
    Connector(EventLoop& loop, ConnectTarget target, Done done);
    ~Connector();
    Connector(const Connector&) = delete;
    Connector& operator=(const Connector&) = delete;

private:
    struct Attempt;
    void start();
    void connect_unix();
    void resolve();
    void resolved(Result<std::vector<Address>> addresses);
    void try_next();
    bool try_one(const Address& address);
    void attempt_ended(int fd);
    void finish(Result<UniqueFd> result);

    EventLoop& loop_;
    ConnectTarget target_;
    Done done_;
    Timer next_;
    std::unique_ptr<Lookup> lookup_;
    std::vector<Address> left_;  // the next is the last
    std::vector<std::unique_ptr<Attempt>> attempts_;
    Error last_{Code::Unavailable, "no address"};
};

// Both families in turn, beginning with the first one's; order within a family is kept.
std::vector<Address> interleaved(const std::vector<Address>& addresses);

}  // namespace cvlan::http
