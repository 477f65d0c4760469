// SPDX-License-Identifier: Apache-2.0
#pragma once

// api/local.yaml on the agent's unix socket. Who calls is told by the kernel (SO_PEERCRED): root
// and the agent's own user may change something, whoever else the socket lets in (its group) may
// read.

#include <memory>
#include <string>

#include "daemons/agent/agent.h"
#include "daemons/agent/ping.h"
#include "http/server.h"

namespace cvlan::agent {

class LocalApi {
public:
    static Result<std::unique_ptr<LocalApi>> listen(EventLoop& loop, Agent& agent,
                                                    const AgentConfig& config);

    // Loop thread; the server calls it, and tests.
    void handle(http::Request request, http::Reply reply);

private:
    LocalApi(EventLoop& loop, Agent& agent) : loop_(loop), agent_(agent) {}
    void read(const http::Request& request, http::Reply reply);
    void change(const http::Request& request, http::Reply reply);
    void ping(const http::Request& request, http::Reply reply);
    void ipsec_change(ike::Ask::What what, const http::Request& request,
                      std::shared_ptr<http::Reply> reply);

    EventLoop& loop_;
    Agent& agent_;
    std::unique_ptr<http::Server> server_;
    std::map<uint64_t, std::unique_ptr<Ping>> pings_;
    uint64_t next_ping_ = 0;
};

// Whether the caller may change something.
bool may_change(const http::Request& request, uid_t own_uid);

}  // namespace cvlan::agent
