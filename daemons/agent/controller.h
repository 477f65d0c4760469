// SPDX-License-Identifier: Apache-2.0
#pragma once

// The controller as the agent speaks to it: requests of JSON over one kept connection, and what a
// refusal means. Loop thread only.

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/backoff.h"
#include "base/event_loop.h"
#include "base/result.h"
#include "http/client.h"
#include "http/origin.h"

namespace cvlan::agent {

// Our own traffic to the controller stays off our routes (decisions.md).
inline constexpr uint32_t kOwnMark = 0xCA000000;

using http::Origin;
using http::parse_origin;

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

class Controller {
public:
    // `urls` in order of preference: after a failure to connect the next one is tried. `proxy` is
    // the URL of an HTTP proxy in between, as the configuration has it; empty: none.
    Controller(EventLoop& loop, std::vector<std::string> urls, Credentials credentials,
               std::string proxy = {});

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
    std::vector<std::string> urls_;
    Credentials credentials_;
    std::string proxy_;
    size_t at_ = 0;
    std::string where_;
    std::unique_ptr<http::Client> client_;
    std::unique_ptr<http::Client> retired_;
    Timer failing_;
};

}  // namespace cvlan::agent
