// SPDX-License-Identifier: Apache-2.0
#pragma once

// One connection of a server: reads a request, waits for its Reply, writes the answer, and again.
// The phase tells which deadline runs and what a byte or the end of the stream means. It is owned
// by its Server::State and ends by asking that to remove it; nothing of it may be touched after
// that.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "http/exchange.h"
#include "http/request_reader.h"
#include "http/server.h"
#include "http/transport.h"

namespace cvlan::http {

struct Accepted {
    UniqueFd fd;
    SslPtr ssl;
    Endpoint peer;
    std::optional<LocalPeer> local;
};

class Connection final : private Transport::Events {
public:
    Connection(Server::State& server, Accepted accepted);
    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    bool start();
    void answer(Response response);
    void upgrade(Response head, Leave leave);
    void drain();
    void close();
    bool is_held() const { return phase_ == Phase::Answering; }
    const Endpoint& peer() const { return peer_; }

private:
    enum class Phase { Handshake, Idle, Head, Body, Answering, Writing, Lingering };

    void on_connected() override;
    void on_readable() override;
    void on_written() override;
    void on_closed(bool clean, Error why) override;

    void leave_handshake();
    void enter(Phase phase);
    std::chrono::milliseconds deadline_of(Phase phase) const;
    void on_deadline();
    void read_request();
    void need_head();
    void need_body();
    void dispatch();
    void refuse(const Problem& problem);
    void give_up_held();
    void send(Response response);
    void queue_body(Response response);
    void pump();
    void finish_answer();
    void leave_http();
    void check_progress();
    void linger();
    void discard();
    size_t unsent() const;
    std::function<void()> leave_exchange();

    Server::State& server_;
    Endpoint peer_;
    std::optional<LocalPeer> local_;
    PeerCertificate certificate_;
    std::optional<Transport> transport_;
    RequestReader reader_;
    std::shared_ptr<Exchange> exchange_;
    std::string request_id_;
    Phase phase_ = Phase::Handshake;
    std::optional<int64_t> handshake_;  // under way: its ticket of admission
    Timer deadline_;
    bool is_head_request_ = false;
    bool close_after_ = false;
    bool at_end_ = false;
    bool continued_ = false;

    std::vector<std::shared_ptr<const std::string>> outgoing_;
    size_t next_ = 0;     // of outgoing_
    size_t offset_ = 0;   // in outgoing_[next_]
    size_t waiting_ = 0;  // bytes of outgoing_ that are not in the transport's buffer yet
    size_t unsent_before_ = 0;
    Leave leave_;  // set: what is being written is the last of HTTP

    UniqueFd rest_;
    Watch rest_watch_;
};

}  // namespace cvlan::http
