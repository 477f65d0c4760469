// SPDX-License-Identifier: Apache-2.0
// This machine's tunnels over IPsec, by its agent.
#include <algorithm>

#include "cli/commands.h"
#include "cli/options.h"
#include "cli/output.h"

namespace cvlan::cli {

namespace local = model::local;

void ipsec_peer_options(CLI::App& app, Args& args) {
    app.add_option("PEER", args.name, "its name, id or overlay address")->required();
}

static std::string seconds_text(const std::optional<int64_t>& seconds) {
    return seconds ? span_text(std::chrono::seconds(*seconds)) : "-";
}

static std::string bytes_of(const std::optional<int64_t>& bytes) {
    return bytes ? bytes_text(*bytes) : "-";
}

static bool is_named(const local::IpsecTunnel& tunnel, const std::string& name) {
    const auto& addresses = tunnel.addresses;
    return tunnel.peer == name || tunnel.peer_id == name ||
           std::find(addresses.begin(), addresses.end(), name) != addresses.end();
}

int ipsec_list(const Args& args, Io& io) {
    auto agent = client::Agent::open(args.socket);
    if (!agent) return fail(io, agent.error());
    auto list = agent->ipsec();
    if (!list) return fail(io, list.error());
    if (args.output == Output::Name) {
        for (const local::IpsecTunnel& tunnel : list->tunnels)
            io.out << printable(tunnel.peer) << '\n';
        return kOk;
    }
    if (print_document(args, io, encode(*list))) return kOk;
    std::vector<Row> rows;
    for (const local::IpsecTunnel& tunnel : list->tunnels)
        rows.push_back({tunnel.peer, tunnel.network, std::string(text(tunnel.state)),
                        tunnel.remote_endpoint.value_or("-"), tunnel.cipher.value_or("-"),
                        seconds_text(tunnel.age_seconds), seconds_text(tunnel.rekey_in_seconds),
                        bytes_of(tunnel.rx_bytes), bytes_of(tunnel.tx_bytes)});
    print_table(
        io,
        {"PEER", "NETWORK", "STATE", "ENDPOINT", "CIPHER", "AGE", "REKEY IN", "RECEIVED", "SENT"},
        rows);
    return kOk;
}

static std::string nat_text(const local::IpsecTunnel& tunnel) {
    if (!tunnel.nat_local) return "";
    if (*tunnel.nat_local && tunnel.nat_remote.value_or(false)) return "on both sides";
    if (*tunnel.nat_local) return "on this side";
    return tunnel.nat_remote.value_or(false) ? "on the other side" : "none";
}

static void print_tunnel(Io& io, const local::IpsecTunnel& tunnel) {
    const auto yes_no = [](const std::optional<bool>& is_so) {
        return !is_so ? "" : *is_so ? "yes" : "no";
    };
    print_fields(
        io, {{"Peer", tunnel.peer},
             {"Id", tunnel.peer_id},
             {"Network", tunnel.network},
             {"Addresses", join(tunnel.addresses)},
             {"State", std::string(text(tunnel.state))},
             {"Crypto profile", tunnel.crypto_profile.value_or("")},
             {"IKE version", tunnel.ike_version ? std::to_string(*tunnel.ike_version) : ""},
             {"Own identity", tunnel.local_identity.value_or("")},
             {"Peer's identity", tunnel.remote_identity.value_or("")},
             {"Own endpoint", tunnel.local_endpoint.value_or("")},
             {"Peer's endpoint", tunnel.remote_endpoint.value_or("")},
             {"Begun here", yes_no(tunnel.initiator)},
             {"IKE cipher", tunnel.ike_cipher.value_or("")},
             {"IKE SPIs", tunnel.ike_spis.value_or("")},
             {"IKE age", tunnel.ike_age_seconds ? seconds_text(tunnel.ike_age_seconds) : ""},
             {"IKE rekey in",
              tunnel.ike_rekey_in_seconds ? seconds_text(tunnel.ike_rekey_in_seconds) : ""},
             {"MOBIKE", tunnel.mobike ? "asked for" : ""},
             {"NAT", nat_text(tunnel)},
             {"ESP cipher", tunnel.cipher.value_or("")},
             {"ESP in UDP", yes_no(tunnel.in_udp)},
             {"SPI in", tunnel.spi_in.value_or("")},
             {"SPI out", tunnel.spi_out.value_or("")},
             {"Received", tunnel.rx_bytes ? bytes_of(tunnel.rx_bytes) : ""},
             {"Sent", tunnel.tx_bytes ? bytes_of(tunnel.tx_bytes) : ""},
             {"Age", tunnel.age_seconds ? seconds_text(tunnel.age_seconds) : ""},
             {"Rekey in", tunnel.rekey_in_seconds ? seconds_text(tunnel.rekey_in_seconds) : ""}});
}

int ipsec_show(const Args& args, Io& io) {
    auto agent = client::Agent::open(args.socket);
    if (!agent) return fail(io, agent.error());
    auto list = agent->ipsec();
    if (!list) return fail(io, list.error());
    std::erase_if(list->tunnels, [&](const auto& one) { return !is_named(one, args.name); });
    if (list->tunnels.empty())
        return fail(io, Error{Code::NotFound, fmt::format("no peer '{}' is reached over IPsec",
                                                          printable(args.name))});
    if (args.output == Output::Name) {
        io.out << printable(list->tunnels.front().peer_id) << '\n';
        return kOk;
    }
    if (print_document(args, io, encode(*list))) return kOk;
    for (size_t i = 0; i < list->tunnels.size(); ++i) {
        if (i > 0) io.out << '\n';
        print_tunnel(io, list->tunnels[i]);
    }
    return kOk;
}

using Change = Result<local::IpsecResult> (client::Agent::*)(const local::IpsecRequest&);

static int change(const Args& args, Io& io, Change what, std::string_view done) {
    auto agent = client::Agent::open(args.socket);
    if (!agent) return fail(io, agent.error());
    auto result = ((*agent).*what)({args.name});
    if (!result) return fail(io, result.error());
    if (args.output == Output::Name)
        io.out << printable(result->peer) << '\n';
    else if (!print_document(args, io, encode(*result)))
        io.out << fmt::format("{}: {} SAs {}\n", printable(result->peer), result->sas, done);
    return kOk;
}

int ipsec_rekey(const Args& args, Io& io) {
    return change(args, io, &client::Agent::ipsec_rekey, "get new keys");
}

int ipsec_terminate(const Args& args, Io& io) {
    return change(args, io, &client::Agent::ipsec_terminate, "end");
}

}  // namespace cvlan::cli
