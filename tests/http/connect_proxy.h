// SPDX-License-Identifier: Apache-2.0
#pragma once

// An HTTP proxy for one connection, on a thread of its own.

#include <sys/socket.h>

#include <optional>
#include <string>
#include <thread>

#include "http/tunnel.h"
#include "tests/http/raw_client.h"

namespace cvlan::http::test {

// A proxy that answers what it is told to, and then passes bytes on to `behind`, if that is given.
class ConnectProxy {
public:
    ConnectProxy(std::string answer, std::optional<Endpoint> behind)
        : answer_(std::move(answer)), listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_storage storage{};
        socklen_t size = Endpoint::parse("127.0.0.1:0")->to_sockaddr(storage);
        bind(listener_.get(), reinterpret_cast<sockaddr*>(&storage), size);
        listen(listener_.get(), 1);
        getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&storage), &size);
        at_ = *Endpoint::from_sockaddr(reinterpret_cast<sockaddr*>(&storage), size);
        thread_ = std::thread([this, behind] { serve(behind); });
    }
    ~ConnectProxy() { thread_.join(); }
    ProxyTarget target() const { return {"127.0.0.1", at_.port, SecretText("Basic dTpw")}; }
    std::string asked() const { return asked_; }  // after an attempt's result

private:
    void serve(const std::optional<Endpoint>& behind) {
        const UniqueFd client(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        char bytes[16384];
        while (asked_.find("\r\n\r\n") == std::string::npos) {
            const ssize_t got = recv(client.get(), bytes, sizeof bytes, 0);
            if (got <= 0) return;
            asked_.append(bytes, static_cast<size_t>(got));
        }
        send(client.get(), answer_.data(), answer_.size(), MSG_NOSIGNAL);
        if (!behind) return;
        const RawClient server(*behind);
        std::thread back([&] { pass(server.fd(), client.get()); });
        pass(client.get(), server.fd());
        back.join();
    }
    static void pass(int from, int to) {
        char bytes[16384];
        ssize_t got = 0;
        while ((got = recv(from, bytes, sizeof bytes, 0)) > 0)
            send(to, bytes, static_cast<size_t>(got), MSG_NOSIGNAL);
        shutdown(to, SHUT_WR);
    }

    std::string answer_;
    std::string asked_;
    UniqueFd listener_;
    Endpoint at_;
    std::thread thread_;
};

}  // namespace cvlan::http::test
