// SPDX-License-Identifier: Apache-2.0
#include "api/idempotency.h"

#include <algorithm>
#include <charconv>

#include "api/error.h"
#include "base/log.h"
#include "base/seal.h"

namespace cvlan::api {

namespace {

constexpr size_t kLongestKey = 255;
constexpr size_t kShortestKey = 8;
constexpr size_t kLargestAnswer = size_t{64} * 1024;

// For one purpose, over parts that can not be taken for each other.
Bytes hash_of(std::string_view purpose, std::initializer_list<std::string_view> parts) {
    std::string text(purpose);
    for (const std::string_view part : parts) text += fmt::format("\n{}:{}", part.size(), part);
    return sha256(as_bytes(text));
}

bool is_key(std::string_view key) {
    return key.size() >= kShortestKey && key.size() <= kLongestKey &&
           std::all_of(key.begin(), key.end(), [](char c) { return c > ' ' && c < '\x7f'; });
}

// "201\n<content type>\n<name>: <value>\n…\n\n<body>".
std::string text_of(const http::Response& response) {
    std::string text = fmt::format("{}\n{}\n", response.status, response.content_type);
    for (const auto& header : response.headers)
        text += fmt::format("{}: {}\n", header.name, header.value);
    return text + "\n" + response.body;
}

std::string_view take_line(std::string_view& text) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    return line;
}

http::Response response_of(std::string_view text) {
    http::Response response;
    const std::string_view status = take_line(text);
    (void)std::from_chars(status.data(), status.data() + status.size(), response.status);
    response.content_type = take_line(text);
    for (auto line = take_line(text); !line.empty(); line = take_line(text)) {
        const size_t colon = line.find(": ");
        response.headers.push_back(
            {std::string(line.substr(0, colon)), std::string(line.substr(colon + 2))});
    }
    response.body = text;
    return response;
}

}  // namespace

Result<Idempotency> Idempotency::of(const http::Request& request, const std::string& actor) {
    Idempotency made;
    const std::string* key = request.header("Idempotency-Key");
    if (!key || request.method != "POST") return made;
    if (!is_key(*key))
        return fail(Code::Invalid,
                    "Idempotency-Key: must be {} to {} printable characters of ASCII", kShortestKey,
                    kLongestKey);
    const std::string* match = request.header("If-Match");
    // What was asked is hashed with the key, so that no body can be guessed from the database.
    made.key_ =
        store::IdempotencyKey{hex(hash_of("cvlan idempotency key", {actor, *key})),
                              hex(hash_of("cvlan idempotency request",
                                          {actor, *key, request.method, request.path, request.query,
                                           match ? *match : std::string_view{}, request.body}))};
    made.seal_key_ = hash_of("cvlan idempotency answer", {actor, *key});
    return made;
}

std::optional<http::Response> Idempotency::earlier(store::Store& store,
                                                   const http::Request& request) const {
    if (!key_) return std::nullopt;
    auto spent = store.idempotency().find(key_->key_hash);
    if (!spent) return error_response(spent.error(), request.request_id);
    if (!*spent) return std::nullopt;
    if ((*spent)->request_hash != key_->request_hash)
        return refusal(422, "IDEMPOTENCY_KEY_REUSED",
                       "this Idempotency-Key was sent with another request", request.request_id);
    const auto sealed = from_base64((*spent)->answer);
    const auto text = sealed ? unseal(seal_key_, *sealed) : failed(sealed.error());
    if (text) return response_of(*text);
    return refusal(409, store::kIdempotencyInProgress,
                   fmt::format("request {} with this Idempotency-Key has changed what it was to "
                               "change; its answer is not known yet, or was lost",
                               (*spent)->request_id),
                   request.request_id);
}

void Idempotency::keep(store::Store& store, const http::Response& response) const {
    if (!key_ || response.status >= 300 || response.body.size() > kLargestAnswer) return;
    auto kept = store.idempotency().keep_answer(
        key_->key_hash, base64(seal(seal_key_, as_bytes(text_of(response)))));
    // What was asked is done; a repeat hears 409.
    if (!kept) log::warn("api.answer_not_kept", {{"reason", kept.error().message}});
}

}  // namespace cvlan::api
