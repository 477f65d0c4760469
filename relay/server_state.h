// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a Server is made of: sessions by number, tenants by id, and the turn of the loop in which
// what was read is handed on and then sent.

#include <event2/event_struct.h>

#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

#include "base/warnings.h"
#include "relay/server.h"
#include "relay/session.h"
#include "relay/welcome.h"

namespace cvlan::relay {

struct Server::State final : Session::Owner {
    State(EventLoop& on, const Clock& time, ServerOptions what);
    ~State();

    // A connection's way to a session.
    void asked(http::Request request, http::Reply reply);
    tl::expected<Session::Who, http::Problem> admit(const http::Request& request);
    void begin(Session::Who who, http::Upgraded upgraded);

    void on_turn(Session& session) override;
    bool on_frame(Session& session, const Frame& frame) override;
    void on_over(Session& session) override;
    bool take_grant(Session& session, ByteView json);
    void use_grant(Session& session, const Grant& grant);
    bool forward(Session& from, ByteView body);
    void note_packet(Session& session);
    void look_at_rest(Session& session);
    void tell_not_here(Session& from, const Key& peer);
    bool answer_ping(Session& session, ByteView body);
    bool take_pair(Session& session, const Frame& frame);
    PairDesk::Asker asker_of(const Session& session, const Granted& grant) const;

    void mark_due(Session& session);
    void flush(Session& session);
    void send_due();
    void bury();
    void end_turn();
    void end(Session& session, Fault code, std::string_view text);
    void forget(Session& session);
    void drop_grant(Session& session, const Granted& grant);
    void sweep();
    void sweep_grants(Session& session);
    Tenant* tenant_of(std::string_view server_name);

    EventLoop& loop;
    const Clock& clock;
    Warnings warnings{clock};
    ServerOptions options;
    std::unique_ptr<http::Server> http;
    PairDesk* desk = nullptr;

    Shared shared;
    std::map<std::string, std::unique_ptr<Tenant>, std::less<>> tenants;  // by id
    std::unordered_map<uint64_t, std::unique_ptr<Session>> sessions;
    uint64_t last_id = 0;
    BootTime now{0};  // of this turn
    bool is_in_turn = false;
    size_t busy = 0;  // sessions that keep their buffers
    std::vector<Session*> due;
    event turn_event{};          // runs when all that could be read in this turn was
    std::vector<uint64_t> over;  // whose sessions end with this turn
    Timer sweeping;
    bool is_draining = false;
    ServerStats counts;
};

}  // namespace cvlan::relay
