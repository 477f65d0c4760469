// SPDX-License-Identifier: Apache-2.0
#include "model/connection.h"

#include <algorithm>
#include <array>
#include <set>

#include "base/bytes.h"
#include "model/ike_proposal.h"
#include "model/objects.h"

namespace cvlan::model {

namespace {

constexpr size_t kMostAddresses = 8, kMostPrefixes = 32, kMostProposals = 8;
constexpr size_t kLongestIdentity = 255, kLongestCa = 16384;

tl::unexpected<Error> refused(std::string_view field, std::string_view why) {
    return failed(
        Error{Code::Invalid, fmt::format("{}: {}", field, why), 0, fmt::format("/{}", field)});
}
tl::unexpected<Error> refused_at(std::string_view field, size_t i, std::string_view why) {
    return failed(Error{Code::Invalid, fmt::format("{}: {}", field, why), 0,
                        fmt::format("/{}/{}", field, i)});
}

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_one_of(char c, std::string_view set) { return set.find(c) != std::string_view::npos; }

bool is_label(std::string_view label) {
    const auto is_good = [](char c) { return is_letter(c) || is_digit(c) || is_one_of(c, "-_"); };
    return !label.empty() && label.size() <= 63 && label.front() != '-' && label.back() != '-' &&
           std::all_of(label.begin(), label.end(), is_good);
}

// One of digits alone would be an address, or nearly.
bool is_host_name(std::string_view text) {
    if (text.size() > 253 || std::none_of(text.begin(), text.end(), is_letter)) return false;
    for (std::string_view rest = text;;) {
        const size_t dot = rest.find('.');
        if (!is_label(rest.substr(0, dot))) return false;
        if (dot == std::string_view::npos) return true;
        rest.remove_prefix(dot + 1);
    }
}

bool is_mail(std::string_view text) {
    const size_t at = text.find('@');
    const std::string_view user = text.substr(0, at);
    const auto is_good = [](char c) { return is_letter(c) || is_digit(c) || is_one_of(c, "._+-"); };
    return at != std::string_view::npos && !user.empty() && user.size() <= 64 &&
           std::all_of(user.begin(), user.end(), is_good) && is_host_name(text.substr(at + 1));
}

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
    while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
    return text;
}

// "C=DE, O=Example, CN=site". No character that charon reads as something else, '*' least of all.
bool is_distinguished_name(std::string_view text) {
    constexpr std::array<std::string_view, 10> kTypes{"C",  "ST", "L",   "O", "OU",
                                                      "CN", "DC", "UID", "E", "serialNumber"};
    const auto is_good = [](char c) {
        return is_letter(c) || is_digit(c) || is_one_of(c, " .-_'():@&");
    };
    for (std::string_view rest = text;;) {
        const size_t comma = rest.find(',');
        const std::string_view part = trimmed(rest.substr(0, comma));
        const size_t equals = part.find('=');
        if (equals == std::string_view::npos) return false;
        if (std::find(kTypes.begin(), kTypes.end(), part.substr(0, equals)) == kTypes.end())
            return false;
        const std::string_view value = part.substr(equals + 1);
        if (trimmed(value).size() != value.size() || value.empty() ||
            !std::all_of(value.begin(), value.end(), is_good))
            return false;
        if (comma == std::string_view::npos) return true;
        rest.remove_prefix(comma + 1);
    }
}

Result<void> check_remote_addresses(const MapConnection& connection) {
    constexpr std::string_view kField = "remoteAddresses";
    const auto& all = connection.remote_addresses;
    if (all.size() > kMostAddresses) return refused(kField, "are at most 8");
    const std::set<Address> different(all.begin(), all.end());
    if (different.size() != all.size()) return refused(kField, "one is there twice");
    for (size_t i = 0; i < all.size(); ++i)
        if (all[i].is_unspecified() || all[i].is_loopback() || all[i].is_multicast() ||
            all[i].is_link_local() || all[i].is_v4_mapped())
            return refused_at(kField, i, all[i].text() + " is no address of a device");
    if (all.empty() && connection.start != wire::IpsecStart::None)
        return refused("start", "must be NONE where there is no remote address to call");
    return {};
}

Result<void> check_auth(const MapConnection& connection) {
    const bool is_psk = connection.auth == wire::IpsecAuth::Psk;
    if (is_psk && connection.secret_revision < 1) return refused("secret", "is needed for PSK");
    if (is_psk && !connection.remote_ca.empty()) return refused("remoteCa", "is not of PSK");
    if (!is_psk && connection.secret_revision != 0)
        return refused("secret", "is not of CERTIFICATE");
    if (!is_psk && connection.remote_ca.empty())
        return refused("remoteCa", "is needed for CERTIFICATE");
    if (connection.remote_ca.size() > kLongestCa) return refused("remoteCa", "is too long");
    return {};
}

Result<void> check_subnets(std::string_view field, const std::vector<Prefix>& all) {
    if (all.size() > kMostPrefixes) return refused(field, "are at most 32");
    for (size_t i = 0; i < all.size(); ++i) {
        if (all[i].length() == 0)
            return refused_at(field, i, all[i].text() + ": a default route can not be one");
        for (size_t before = 0; before < i; ++before)
            if (all[before].overlaps(all[i]))
                return refused_at(field, i, all[i].text() + " overlaps " + all[before].text());
    }
    return {};
}

Result<void> check_proposals(std::string_view field, ProposalFor use,
                             const std::vector<std::string>& all) {
    if (all.size() > kMostProposals) return refused(field, "are at most 8");
    for (size_t i = 0; i < all.size(); ++i)
        if (auto good = check_proposal(use, all[i]); !good)
            return refused_at(field, i, printable(all[i]) + ": " + good.error().message);
    return {};
}

Result<void> check_identities(const MapConnection& connection) {
    if (auto remote = ike_identity_kind(connection.remote_identity); !remote)
        return refused("remoteIdentity", remote.error().message);
    if (!is_host_name(connection.local_identity))
        return refused("localIdentity", "must be a host name");
    return {};
}

Result<void> check_times(const MapConnection& connection) {
    using namespace std::chrono_literals;
    if (connection.dpd < 5s || connection.dpd > 3600s)
        return refused("dpdSeconds", "must be from 5 to 3600");
    if (connection.rekey < 60s || connection.rekey > 86400s)
        return refused("rekeySeconds", "must be from 60 to 86400");
    return {};
}

template <class T>
Result<std::vector<T>> parse_all(std::string_view field, const std::vector<std::string>& texts,
                                 const char* what) {
    std::vector<T> all;
    for (size_t i = 0; i < texts.size(); ++i) {
        const auto value = T::parse(texts[i]);
        if (!value) return refused_at(field, i, printable(texts[i]) + ": must be " + what);
        if (value->text() != texts[i])
            return refused_at(field, i, printable(texts[i]) + ": must be " + value->text());
        all.push_back(*value);
    }
    return all;
}

}  // namespace

std::string local_ike_identity(std::string_view connection_id, std::string_view trust_domain) {
    return fmt::format("{}.ike.{}", connection_id, trust_domain);
}

Result<IkeIdentityKind> ike_identity_kind(std::string_view text) {
    if (text.size() <= kLongestIdentity) {
        const auto address = Address::parse(text);
        // charon takes 0.0.0.0 and :: for anybody.
        if (address && address->is_unspecified())
            return fail(Code::Invalid, "{} stands for every device", address->text());
        if (address) return IkeIdentityKind::Address;
        if (is_host_name(text)) return IkeIdentityKind::HostName;
        if (is_mail(text)) return IkeIdentityKind::Mail;
        if (is_distinguished_name(text)) return IkeIdentityKind::DistinguishedName;
    }
    return fail(Code::Invalid,
                "must be an IP address, a host name, user@host or a distinguished name such as "
                "CN=site, O=Example, without wildcards");
}

Result<void> check_connection(const MapConnection& connection) {
    auto good = check_name("name", connection.name);
    if (good) good = check_identities(connection);
    if (good) good = check_remote_addresses(connection);
    if (good) good = check_auth(connection);
    if (good) good = check_subnets("localSubnets", connection.local_subnets);
    if (good && connection.remote_subnets.empty())
        return refused("remoteSubnets", "there must be one at least");
    if (good) good = check_subnets("remoteSubnets", connection.remote_subnets);
    if (good) good = check_proposals("ikeProposals", ProposalFor::Ike, connection.ike_proposals);
    if (good) good = check_proposals("espProposals", ProposalFor::Esp, connection.esp_proposals);
    if (good) good = check_times(connection);
    return good;
}

Result<void> check_approved(const MapConnection& connection) {
    const auto check = [](std::string_view field, const std::vector<std::string>& all) {
        for (size_t i = 0; i < all.size(); ++i)
            if (const auto word = unapproved_word(all[i]); !word.empty())
                return Result<void>(refused_at(
                    field, i,
                    fmt::format("{}: the network's FIPS_ALGORITHMS have no {}: aes256gcm16, "
                                "prfsha384, ecp384 and ecp256 are all there are",
                                printable(all[i]), printable(word))));
        return Result<void>();
    };
    auto good = check("ikeProposals", connection.ike_proposals);
    return good ? check("espProposals", connection.esp_proposals) : good;
}

Result<std::vector<Address>> parse_addresses(std::string_view field,
                                             const std::vector<std::string>& texts) {
    return parse_all<Address>(field, texts, "an IP address");
}

Result<std::vector<Prefix>> parse_prefixes(std::string_view field,
                                           const std::vector<std::string>& texts) {
    return parse_all<Prefix>(field, texts, "a prefix such as 192.168.7.0/24");
}

Result<MapConnection> from_wire(const std::string& id, const wire::MapConnection& told) {
    MapConnection connection;
    connection.id = id;
    connection.name = told.name;
    auto addresses = parse_addresses("remoteAddresses", told.remote_addresses);
    if (!addresses) return failed(addresses.error());
    auto local = parse_prefixes("localSubnets", told.local_subnets);
    if (!local) return failed(local.error());
    auto remote = parse_prefixes("remoteSubnets", told.remote_subnets);
    if (!remote) return failed(remote.error());
    connection.remote_addresses = std::move(*addresses);
    connection.local_subnets = std::move(*local);
    connection.remote_subnets = std::move(*remote);
    connection.remote_identity = told.remote_identity;
    connection.local_identity = told.local_identity;
    connection.auth = told.auth;
    connection.remote_ca = told.remote_ca.value_or("");
    connection.ike_proposals = told.ike_proposals;
    connection.esp_proposals = told.esp_proposals;
    connection.start = told.start;
    connection.dpd = std::chrono::seconds(told.dpd_seconds);
    connection.rekey = std::chrono::seconds(told.rekey_seconds);
    connection.secret_revision = told.secret_revision;
    if (auto good = check_connection(connection); !good) return failed(good.error());
    return connection;
}

}  // namespace cvlan::model
