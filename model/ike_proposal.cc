// SPDX-License-Identifier: Apache-2.0
#include "model/ike_proposal.h"

#include <algorithm>
#include <array>
#include <set>

#include "base/bytes.h"

namespace cvlan::model {

namespace {

enum class Part { Aead, Cipher, Integrity, Prf, Group };
struct Word {
    std::string_view name;
    Part part;
    bool is_approved = false;  // as ike/wanted.cc has them for nodes
};

// RFC 8247 and RFC 8221 without what they advise against: no SHA-1, no group below 2048 bits.
constexpr Word kWords[] = {
    {"aes256gcm16", Part::Aead, true}, {"aes192gcm16", Part::Aead},    {"aes128gcm16", Part::Aead},
    {"aes256", Part::Cipher},          {"aes192", Part::Cipher},       {"aes128", Part::Cipher},
    {"sha256", Part::Integrity},       {"sha384", Part::Integrity},    {"sha512", Part::Integrity},
    {"prfsha256", Part::Prf},          {"prfsha384", Part::Prf, true}, {"prfsha512", Part::Prf},
    {"ecp256", Part::Group, true},     {"ecp384", Part::Group, true},  {"ecp521", Part::Group},
    {"x25519", Part::Group},           {"curve25519", Part::Group},    {"modp2048", Part::Group},
    {"modp3072", Part::Group},         {"modp4096", Part::Group},      {"modp6144", Part::Group},
    {"modp8192", Part::Group},
};

const Word* find_word(std::string_view name) {
    const auto* const end = std::end(kWords);
    const auto* const found =
        std::find_if(std::begin(kWords), end, [&](const Word& word) { return word.name == name; });
    return found == end ? nullptr : found;
}

std::string_view take_word(std::string_view& rest) {
    const size_t end = std::min(rest.find('-'), rest.size());
    const std::string_view word = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return word;
}

struct Counted {
    std::array<int, 5> of{};
    int operator[](Part part) const { return of[static_cast<size_t>(part)]; }
};

Result<Counted> count(std::string_view text) {
    Counted counted;
    std::set<std::string_view> seen;
    if (text.empty() || text.back() == '-') return fail(Code::Invalid, "is no proposal");
    for (std::string_view rest = text; !rest.empty();) {
        const std::string_view name = take_word(rest);
        const Word* word = find_word(name);
        if (!word) return fail(Code::Invalid, "'{}' is no algorithm to choose", printable(name));
        if (!seen.insert(name).second) return fail(Code::Invalid, "'{}' is there twice", name);
        ++counted.of[static_cast<size_t>(word->part)];
    }
    return counted;
}

}  // namespace

// RFC 7296, 3.3.3: what a proposal has to have; RFC 5282: with an AEAD there is no integrity.
Result<void> check_proposal(ProposalFor use, std::string_view text) {
    const auto has = count(text);
    if (!has) return failed(has.error());
    const bool is_ike = use == ProposalFor::Ike;
    const bool is_aead = (*has)[Part::Aead] > 0;
    if (is_aead == ((*has)[Part::Cipher] > 0))
        return fail(Code::Invalid, "needs ciphers of one kind: aes256gcm16 or aes256, say");
    if (is_aead && (*has)[Part::Integrity] > 0)
        return fail(Code::Invalid, "GCM has its own integrity: no sha256 with it, but a prfsha256");
    if (!is_aead && (*has)[Part::Integrity] == 0)
        return fail(Code::Invalid, "needs an integrity, such as sha256");
    if (is_ike && is_aead && (*has)[Part::Prf] == 0)
        return fail(Code::Invalid, "needs a PRF, such as prfsha256");
    if (is_ike && (*has)[Part::Group] == 0)
        return fail(Code::Invalid, "needs a group, such as ecp256 or modp2048");
    if (!is_ike && (*has)[Part::Prf] > 0) return fail(Code::Invalid, "ESP has no PRF");
    return {};
}

std::string_view unapproved_word(std::string_view text) {
    for (std::string_view rest = text; !rest.empty();) {
        const std::string_view name = take_word(rest);
        const Word* word = find_word(name);
        if (!word || !word->is_approved) return name;
    }
    return {};
}

// RFC 8247, RFC 8221; P-384 first, which is an approved one. Approved: SP 800-38D, SP 800-135 (the
// KDF with HMAC SHA-384) and SP 800-56A (the curves of SP 800-186).
std::string_view default_proposal(ProposalFor use, bool approved_only) {
    if (use == ProposalFor::Esp)
        return approved_only ? "aes256gcm16-ecp384-ecp256" : "aes256gcm16-ecp384-x25519";
    return approved_only ? "aes256gcm16-prfsha384-ecp384-ecp256"
                         : "aes256gcm16-prfsha384-ecp384-x25519";
}

}  // namespace cvlan::model
