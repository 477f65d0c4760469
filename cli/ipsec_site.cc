// SPDX-License-Identifier: Apache-2.0
#include "cli/ipsec_site.h"

#include <fmt/ranges.h>

#include "model/ike_proposal.h"

namespace cvlan::cli {

namespace wire = model::wire;
using model::ProposalFor;

namespace {

constexpr const char* kNoAddress = "ADDRESS-OF-THE-VROUTER";
constexpr const char* kOwnCertificate = "CERTIFICATE-OF-THIS-DEVICE.pem";
constexpr const char* kTheirCa = "CA-OF-THE-CONTROLLER.pem";

std::string listed(const std::vector<std::string>& all) {
    return fmt::format("{}", fmt::join(all, ", "));
}

std::string proposals(const std::vector<std::string>& own, ProposalFor use, bool approved_only) {
    return own.empty() ? std::string(model::default_proposal(use, approved_only)) : listed(own);
}

std::string addresses_of(const Site& site) {
    return site.our_addresses.empty() ? kNoAddress : listed(site.our_addresses);
}

bool is_psk(const Site& site) { return site.connection.auth == wire::IpsecAuth::Psk; }

// Who is called by us at once need not call; everybody else sets it up with the first packet.
const char* start_action(const Site& site) {
    return site.connection.start == wire::IpsecStart::Start ? "none" : "trap";
}

std::string peers_of(const Site& site) {
    const wire::IpsecConnection& it = site.connection;
    const char* auth = is_psk(site) ? "psk" : "pubkey";
    return fmt::format(
        "        local {{\n            auth = {0}\n            id = \"{1}\"\n{2}        }}\n"
        "        remote {{\n            auth = {0}\n            id = \"{3}\"\n{4}        }}\n",
        auth, it.remote_identity,
        is_psk(site) ? "" : fmt::format("            certs = {}\n", kOwnCertificate),
        it.local_identity, is_psk(site) ? "" : fmt::format("            cacerts = {}\n", kTheirCa));
}

std::string child_of(const Site& site) {
    const wire::IpsecConnection& it = site.connection;
    return fmt::format(
        "        children {{\n            cvlan {{\n                local_ts = {}\n"
        "                remote_ts = {}\n                esp_proposals = {}\n"
        "                rekey_time = {}s\n                start_action = {}\n"
        "                dpd_action = {}\n            }}\n        }}\n",
        listed(it.remote_subnets), listed(site.our_subnets),
        proposals(it.esp_proposals, ProposalFor::Esp, site.approved_only), it.rekey_seconds,
        start_action(site), site.connection.start == wire::IpsecStart::Start ? "clear" : "trap");
}

}  // namespace

std::string swanctl_of(const Site& site) {
    const wire::IpsecConnection& it = site.connection;
    std::string text = fmt::format(
        "# The other side of the IPsec connection '{0}' (cvlanctl ipsec connection show {0}).\n"
        "connections {{\n    cvlan-{0} {{\n        version = 2\n",
        it.name);
    if (!it.remote_addresses.empty())
        text += fmt::format("        local_addrs = {}\n", listed(it.remote_addresses));
    if (site.our_addresses.empty())
        text += "        # CloudVLAN does not know from where the vrouter is reached.\n";
    text += fmt::format(
        "        remote_addrs = {}\n        proposals = {}\n        dpd_delay = {}s\n"
        "        rekey_time = {}s\n",
        addresses_of(site), proposals(it.ike_proposals, ProposalFor::Ike, site.approved_only),
        it.dpd_seconds, 4 * it.rekey_seconds);
    text += peers_of(site) + child_of(site) + "    }\n}\n";
    if (!is_psk(site)) return text;
    return text + fmt::format(
                      "secrets {{\n    ike-cvlan-{} {{\n        id-1 = \"{}\"\n        id-2 = "
                      "\"{}\"\n        # put the secret here: in quotes, or 0x and its bytes in "
                      "hexadecimal\n        secret =\n    }}\n}}\n",
                      it.name, it.remote_identity, it.local_identity);
}

std::vector<std::pair<std::string, std::string>> settings_of(const Site& site) {
    const wire::IpsecConnection& it = site.connection;
    const auto seconds = [](int64_t count) { return fmt::format("{} s", count); };
    return {{"Connection", it.name},
            {"Protocol", "IKEv2, ESP in tunnel mode"},
            {"Own address", listed(it.remote_addresses)},
            {"Peer's address", addresses_of(site)},
            {"Own identity", it.remote_identity},
            {"Peer's identity", it.local_identity},
            {"Authentication", is_psk(site) ? "pre-shared key, the one that the connection has"
                                            : "certificates; the peer's is by the controller's CA"},
            {"IKE proposals", proposals(it.ike_proposals, ProposalFor::Ike, site.approved_only)},
            {"IKE lifetime", seconds(4 * it.rekey_seconds)},
            {"ESP proposals", proposals(it.esp_proposals, ProposalFor::Esp, site.approved_only)},
            {"ESP lifetime", seconds(it.rekey_seconds)},
            {"Own subnets", listed(it.remote_subnets)},
            {"Peer's subnets", listed(site.our_subnets)},
            {"Dead peer detection", seconds(it.dpd_seconds)},
            {"Who calls", it.start == wire::IpsecStart::None ? "this side" : "either side"}};
}

}  // namespace cvlan::cli
