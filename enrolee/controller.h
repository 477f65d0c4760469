// SPDX-License-Identifier: Apache-2.0
#pragma once

// The controller as those speak to it who are enrolled there: requests of JSON over one kept
// connection, and what a refusal means. Loop thread only.

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/backoff.h"
#include "base/event_loop.h"
#include "base/result.h"
#include "http/client.h"

namespace cvlan::enrolee {

struct Credentials {
    http::TlsTrust trust;
    std::string certificate_pem{};
    SecretText private_key_pem{};
    Credentials clone() const { return {trust, certificate_pem, private_key_pem.clone()}; }
};

// Why a request was not done. `status` is 0 where no answer came.
struct Refusal {
    Error error;
    int status = 0;
    std::string code{};  // the problem's, UPPER_SNAKE
};
Refusal refusal_of(const http::Response& response);
template <class T>
using Answer = tl::expected<T, Refusal>;

struct ControllerOptions {
    std::vector<std::string> urls;  // in order of preference: where one fails the next is tried
    Credentials credentials{};
    std::string proxy{};  // the URL of an HTTP proxy in between; empty: none
    uint32_t fwmark = 0;  // of our connections, where routes of ours are to be stayed off
    ControllerOptions clone() const { return {urls, credentials.clone(), proxy, fwmark}; }
};

class Controller {
public:
    Controller(EventLoop& loop, ControllerOptions options)
        : loop_(loop), options_(std::move(options)) {}

    struct Call {
        std::string method = "GET";
        std::string target;
        std::string body{};
        std::chrono::milliseconds timeout{20'000};
    };
    using Done = std::function<void(Answer<http::Response>)>;
    // `done` runs on the loop, never within call(), and not once the Controller is gone. An answer
    // of 400 and above is a Refusal.
    void call(Call call, Done done);

    // The origin of the last connection, "host:port", for messages.
    const std::string& where() const { return where_; }

private:
    Result<http::Client*> client();

    EventLoop& loop_;
    ControllerOptions options_;
    size_t at_ = 0;
    std::string where_;
    std::unique_ptr<http::Client> client_;
    std::unique_ptr<http::Client> retired_;
    Timer failing_;
};

}  // namespace cvlan::enrolee
