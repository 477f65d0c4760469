// SPDX-License-Identifier: Apache-2.0
#pragma once

// A request and a response as values, the same for server and client. Bodies are whole: the server
// hands a request on when its last byte has come, within Limits.

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip.h"
#include "http/peer_certificate.h"

namespace cvlan {
class EventLoop;
}

namespace cvlan::http {

struct Header {
    std::string name;
    std::string value;
    bool operator==(const Header&) const = default;
};
using Headers = std::vector<Header>;

// The value of the first header of this name, in any case of letters; nullptr if there is none.
const std::string* find(const Headers& headers, std::string_view name);

// Who is at the other end of a unix socket (SO_PEERCRED, taken by the kernel at connect).
struct LocalPeer {
    uid_t uid = 0;
    gid_t gid = 0;
    pid_t pid = 0;
};

struct Request {
    std::string method;  // as sent: "GET"
    std::string path;    // raw, percent-encoding untouched; starts with '/', or is "*" for OPTIONS
    std::string query;   // raw, what follows the first '?'
    Headers headers;     // in order of arrival; proxy headers have no meaning here
    std::string body;
    Endpoint peer;  // of the TCP connection, or whom a balancer names; 0.0.0.0:0 on a unix socket
    std::optional<LocalPeer> local;      // set on a unix socket alone
    PeerCertificate client_certificate;  // the leaf which TLS verified against the client CAs
    std::string server_name;             // that the client asked for (SNI); empty: none, or no TLS
    std::string request_id;              // a UUID, made by the server, sent back as X-Request-Id
    std::string trace_id;       // 32 hex digits: the client's (traceparent), else of request_id
    EventLoop* loop = nullptr;  // on its thread it is answered

    const std::string* header(std::string_view name) const { return find(headers, name); }
};

struct Response {
    int status = 200;
    std::string content_type{};  // no header if empty
    Headers headers{};           // Content-Length, Connection, Date are the server's
    std::string body{};
    // Sent after `body`. Shared, never copied: the way for what many clients are told alike and for
    // all that is large, since no more than 256 KiB of it is buffered for a slow reader.
    std::vector<std::shared_ptr<const std::string>> chunks{};

    const std::string* header(std::string_view name) const { return find(headers, name); }
};

// An RFC 9457 problem: type, title, status, code, detail, requestId. `code` is UPPER_SNAKE.
struct Problem {
    int status = 500;
    std::string code;
    std::string detail{};
};
Response problem(const Problem& problem, std::string_view request_id);

// The reason phrase of RFC 9110: "Not Found"; "" for a number that has none.
std::string_view reason(int status);

}  // namespace cvlan::http
