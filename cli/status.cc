// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "base/bytes.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/path.h"

namespace cvlan::cli {

namespace local = model::local;

// Until a release brings policies, this is true of every network, whatever the agent says.
static constexpr const char* kNotice =
    "until policies exist, every node of a network reaches every other node of it";

static std::string coloured(const Io& io, local::SelfState state) {
    std::string word(text(state));
    if (!io.colour) return word;
    const bool good = state == local::SelfState::Connected;
    const bool bad = state == local::SelfState::Expired || state == local::SelfState::Revoked;
    return fmt::format("\033[{}m{}\033[0m", good ? 32 : bad ? 31 : 33, word);
}

static std::string map_text(const local::SelfStatus& self) {
    if (self.map_revision.empty() || self.map_revision == "0") return "";
    std::string text = fmt::format("revision {}", self.map_revision);
    if (self.map_age)
        text += fmt::format(", confirmed {} ago", span_text(std::chrono::seconds(*self.map_age)));
    if (self.map_expires_at) text += fmt::format(", good until {}", time_text(self.map_expires_at));
    return text;
}

static void print_self(Io& io, const local::SelfStatus& self) {
    io.out << fmt::format("{}  {}\n", self.name.empty() ? "this machine" : printable(self.name),
                          coloured(io, self.state));
    std::vector<std::pair<std::string, std::string>> fields{
        {"  id", self.id}, {"  addresses", join(self.addresses)}, {"  map", map_text(self)}};
    if (self.certificate_expires_at)
        fields.emplace_back("  certificate",
                            "good until " + time_text(self.certificate_expires_at));
    for (const local::StatusNetwork& network : self.networks)
        fields.emplace_back("  network",
                            fmt::format("{}  {}  {}  port {}", network.name, network.state,
                                        network.device, network.listen_port));
    for (const local::HealthItem& item : self.health)
        fields.emplace_back("  " + item.severity, fmt::format("{}: {}", item.code, item.message));
    print_fields(io, fields);
}

static std::string data_plane_text(const local::StatusPeer& peer) {
    if (!peer.data_plane) return "-";
    std::string text(local::text(*peer.data_plane));
    if (peer.cipher) text += " " + *peer.cipher;
    if (peer.sa_seconds)
        text += fmt::format(", {} old", span_text(std::chrono::seconds(*peer.sa_seconds)));
    if (peer.rekey_in_seconds)
        text +=
            fmt::format(", rekey in {}", span_text(std::chrono::seconds(*peer.rekey_in_seconds)));
    return text;
}

static void print_peers(Io& io, const std::vector<local::StatusPeer>& peers) {
    if (peers.empty()) {
        io.out << "\nno peers\n";
        return;
    }
    const bool has_ipsec = std::any_of(peers.begin(), peers.end(), [](const auto& peer) {
        return peer.data_plane == local::DataPlane::Ipsec;
    });
    Row head{"PEER",       "ADDRESSES", "PATH",     "ENDPOINT",
             "ROUND TRIP", "HANDSHAKE", "RECEIVED", "SENT"};
    if (has_ipsec) head.push_back("DATA PLANE");
    std::vector<Row> rows;
    for (const local::StatusPeer& peer : peers) {
        std::string handshake = "never";
        if (peer.last_handshake) {
            const auto past =
                std::chrono::floor<std::chrono::seconds>(io.clock.now() - *peer.last_handshake);
            handshake = span_text(past) + " ago";
        }
        // By TLS the kernel's endpoint is an address on lo, which tells a reader nothing.
        const bool has_place = peer.endpoint && peer.path != local::PathKind::RelayTls;
        rows.push_back({peer.name, join(peer.addresses), path_text(peer),
                        has_place ? *peer.endpoint : "-",
                        peer.rtt_ms ? fmt::format("{} ms", *peer.rtt_ms) : "-", handshake,
                        bytes_text(peer.rx_bytes), bytes_text(peer.tx_bytes)});
        if (has_ipsec) rows.back().push_back(data_plane_text(peer));
    }
    io.out << '\n';
    print_table(io, head, rows);
    for (const local::StatusPeer& peer : peers)
        if (!peer.routes.empty())
            io.out << fmt::format("\nThrough {}: {}\n", printable(peer.name),
                                  printable(join(peer.routes)));
}

static void print_status(Io& io, const local::Status& status) {
    print_self(io, status.self);
    for (const local::SelfStatus& other : status.others) {
        io.out << '\n';
        print_self(io, other);
    }
    print_peers(io, status.peers);
    if (!status.self.networks.empty() || status.notice)
        io.out << fmt::format("\nNote: {}.\n", printable(status.notice.value_or(kNotice)));
}

int status(const Args& args, Io& io) {
    auto agent = client::Agent::open(args.socket);
    if (!agent) return fail(io, agent.error());
    auto status = agent->status();
    if (!status) return fail(io, status.error());
    if (args.output == Output::Name)
        io.out << printable(status->self.name) << '\n';
    else if (!print_document(args, io, encode(*status)))
        print_status(io, *status);
    const bool is_up = status->self.state == local::SelfState::Connected ||
                       status->self.state == local::SelfState::ControllerUnreachable;
    return is_up ? kOk : kFailed;
}

int plan(const Args& args, Io& io) {
    auto agent = client::Agent::open(args.socket);
    if (!agent) return fail(io, agent.error());
    auto plan = agent->plan();
    if (!plan) return fail(io, plan.error());
    if (print_document(args, io, encode(*plan))) return kOk;
    for (const std::string& step : plan->steps) io.out << printable(step) << '\n';
    return kOk;
}

}  // namespace cvlan::cli
