// SPDX-License-Identifier: Apache-2.0
#pragma once

// What every command of cvlanctl shares: its arguments, its streams, its exit codes. A command is
// `int f(const Args&, Io&)`; data goes to io.out, everything else to io.err.

#include <chrono>
#include <functional>
#include <iostream>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "api/client/agent.h"
#include "api/client/controller.h"
#include "base/clock.h"

namespace CLI {
class App;
}

namespace cvlan::cli {

enum Exit : int {
    kOk = 0,
    kFailed = 1,  // or not connected
    kUsage = 2,
    kNotFound = 3,
    kDenied = 4,
    kConflict = 5,
    kUnreachable = 6,
    kPartly = 7,
};

enum class Output { Table, Json, Yaml, Name };

struct Args {
    Output output = Output::Table;
    std::string server;  // empty: the context's, else the controller's socket on this machine
    std::string context, access_token_file;
    std::string socket = "/run/cvlan/agent.sock";
    std::string ca, cert, key;  // files for https
    std::string tenant;         // id or name
    bool yes = false;

    std::string name;     // of the object, or its id
    std::string network;  // id or name
    std::string new_name;
    std::string ipv4, ipv6 = "auto";
    int64_t mtu = 0;
    std::optional<model::wire::DataPlane> data_plane{};
    std::vector<std::string> ipsec_tags;
    std::optional<model::wire::CryptoProfile> crypto_profile{};
    std::optional<model::wire::Topology> topology{};
    int64_t uses = 1;
    std::chrono::seconds expires = std::chrono::hours(24);
    model::wire::TokenRole role = model::wire::TokenRole::Node;

    std::string email, link_file, service_account;
    model::wire::TenantRole tenant_role = model::wire::TenantRole::Member;
    bool above_tenants = false;

    std::string token, token_file;
    std::string signing_key, out_file, key_file;
    std::chrono::seconds wait{30};
    int64_t count = 3;

    std::string actor, action, object;
    std::string since, until;  // of the audit: RFC 3339, or so long ago
    std::string format = "ndjson";
    bool of_operator = false;

    bool is_external = false, with_qr = false;  // of a node that is made
    std::string public_key;
    std::vector<std::string> tags;

    std::string kind;  // of objects, by the table of resources
    std::vector<std::string> filters;
    std::string order_by;
    size_t limit = 0;
    std::vector<std::string> files;
    bool prune = false, dry_run = false;
    std::string url;
    std::vector<std::string> events;
    // What was said of an object's fields, by the name of the flag.
    std::map<std::string, std::vector<std::string>> fields;
};

struct Io {
    std::ostream& out;
    std::ostream& err;
    std::istream& in;
    const Clock& clock;
    bool in_is_terminal = false;
    bool colour = false;  // out is a terminal and NO_COLOR is not set
    std::function<void(std::chrono::milliseconds)> pause = [](std::chrono::milliseconds) {};
};

struct Command {
    std::string_view path;  // "node show"
    int (*run)(const Args&, Io&);
    void (*options)(CLI::App&, Args&);
    const char* summary;
};

// Parses and runs one command line (without the program's name).
int run(const std::vector<std::string>& words, Io& io);

// "cvlanctl: …" on io.err, and the exit code that its Code stands for.
int fail(Io& io, const Error& error);

// A connection to --server; `tenant_id` is set where the command works inside a tenant: that of
// --tenant, the caller's own, or the only one there is.
struct Session {
    client::Controller controller;
    std::string tenant_id;
    bool has_token = false;
};
Result<Session> connect(const Args& args);
Result<Session> connect_to_tenant(const Args& args);

// True when the user agrees, or said --yes. Without a terminal to ask on, says so and is false.
bool confirmed(const Args& args, Io& io, std::string_view question);

}  // namespace cvlan::cli
