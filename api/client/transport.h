// SPDX-License-Identifier: Apache-2.0
#pragma once

// One connection of requests and answers to a controller or an agent, over TLS or a unix socket. It
// blocks and belongs to one thread. An answer of 400 and above is an Error: its Code from the
// status, its message the problem's own words. A server that can not be reached is Unavailable.

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/secret.h"

namespace cvlan::client {

struct Target {
    std::string server{};     // "unix:/run/cvlan/controller.sock" or "https://HOST:PORT"
    std::string ca_file{};    // PEM; empty: the system's own certificates
    std::string cert_file{};  // PEM, for a client certificate
    std::string key_file{};
    SecretText token{};  // of access; shown with every request
};

struct Call {
    const char* method = "GET";
    std::string path{};      // with its query
    std::string body{};      // JSON, or empty
    std::string if_match{};  // an ETag, or empty
    // Of a request that takes effect once however often it comes: where its answer is lost, it is
    // sent once more. Empty: it is not.
    std::string idempotency_key{};
    // How long the server may take over the answer: above any wait that the request asks for.
    std::chrono::seconds patience{30};
    // Where to put the target of a Link header with rel="next"; empty where there is none.
    std::string* next = nullptr;
};

struct Answer {
    std::string body{};
    std::string etag{};  // empty where it had none
};

class Transport {
public:
    // Invalid when `target` is malformed. Connects on the first send().
    static Result<Transport> open(const Target& target);
    Transport(Transport&&) noexcept;
    Transport& operator=(Transport&&) noexcept;
    ~Transport();

    // The body of an answer of 2xx; at most 64 MiB.
    Result<std::string> send(const Call& call);
    // The same, with what its head says.
    Result<Answer> exchange(const Call& call);
    // A session's cookie is kept, and shown from the next request on; changes need this with it.
    void set_csrf_token(std::string token);

private:
    struct State;
    Result<Answer> exchange_once(const Call& call, bool& is_lost);
    explicit Transport(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

// What an answer with this status and body (a problem document, or anything) means.
Error problem_error(int status, std::string_view body);
// Percent-encoding of one part of a path or query (RFC 3986).
std::string url_encode(std::string_view text);

}  // namespace cvlan::client
