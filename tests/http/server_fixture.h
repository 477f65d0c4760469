// SPDX-License-Identifier: Apache-2.0
#pragma once

// A server on a loop of its own thread, with what its handler was given.

#include <gtest/gtest.h>

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "base/loop_thread.h"
#include "http/server.h"
#include "tests/http/raw_client.h"

namespace cvlan::http::test {

// Says back what it understood: "POST /p ?q [body]".
inline Response echo(const Request& request) {
    Response response{.content_type = "text/plain"};
    response.body =
        request.method + " " + request.path + " ?" + request.query + " [" + request.body + "]";
    return response;
}

class TestServer {
public:
    explicit TestServer(Limits limits = {}, Handler handler = nullptr)
        : handler_(std::move(handler)) {
        thread_.call([&] {
            auto made = Server::listen_plain(thread_.loop(), *Endpoint::parse("127.0.0.1:0"),
                                             service(std::move(limits)));
            take(std::move(made));
        });
    }
    // Behind load balancers.
    TestServer(Limits limits, std::vector<Prefix> proxies) : proxies_(std::move(proxies)) {
        thread_.call([&] {
            take(Server::listen_plain(thread_.loop(), *Endpoint::parse("127.0.0.1:0"),
                                      service(std::move(limits))));
        });
    }
    TestServer(const TlsServerOptions& tls, Limits limits, std::vector<Prefix> proxies)
        : proxies_(std::move(proxies)) {
        thread_.call([&] {
            take(Server::listen_tls(thread_.loop(), *Endpoint::parse("127.0.0.1:0"), tls,
                                    service(std::move(limits))));
        });
    }
    TestServer(const TlsServerOptions& tls, Limits limits, Handler handler = nullptr)
        : handler_(std::move(handler)) {
        thread_.call([&] {
            auto made = Server::listen_tls(thread_.loop(), *Endpoint::parse("127.0.0.1:0"), tls,
                                           service(std::move(limits)));
            take(std::move(made));
        });
    }
    TestServer(const UnixSocket& at, Limits limits, Handler handler = nullptr)
        : handler_(std::move(handler)) {
        thread_.call(
            [&] { take(Server::listen_unix(thread_.loop(), at, service(std::move(limits)))); });
    }
    ~TestServer() {
        thread_.call([&] { server_.reset(); });
    }

    const Endpoint& at() const { return at_; }
    const std::optional<Error>& error() const { return error_; }
    EventLoop& loop() { return thread_.loop(); }
    template <class Run>
    auto call(Run run) {
        return thread_.call(std::move(run));
    }
    Server& server() { return *server_; }  // on the loop
    void stop() {
        thread_.call([&] { server_.reset(); });
    }
    Server::Stats stats() {
        return thread_.call([&] { return server_->stats(); });
    }
    size_t seen_count() {
        const std::lock_guard lock(mutex_);
        return seen_.size();
    }
    std::vector<Request> seen() {
        const std::lock_guard lock(mutex_);
        return seen_;
    }

private:
    Service service(Limits limits) {
        return {[this](Request request, Reply reply) {
                    {
                        const std::lock_guard lock(mutex_);
                        seen_.push_back(request);
                    }
                    if (handler_) return handler_(std::move(request), std::move(reply));
                    reply.send(echo(request));
                },
                std::move(limits), proxies_};
    }
    void take(Result<std::unique_ptr<Server>> made) {
        if (!made) {
            error_ = made.error();
            return;
        }
        server_ = std::move(*made);
        at_ = server_->endpoint();
    }

    cvlan::LoopThread thread_;
    Handler handler_;
    std::vector<Prefix> proxies_;
    std::mutex mutex_;
    std::vector<Request> seen_;
    std::unique_ptr<Server> server_;
    Endpoint at_;
    std::optional<Error> error_;
};

}  // namespace cvlan::http::test
