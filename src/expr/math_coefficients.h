#pragma once
// Minimax coefficients, lowest degree first, written by scripts/fit_math_coefficients.py. Do not edit.
// The comment of a row is the relation fitted and log2 of the relative error of the approximation itself.
// clang-format off
namespace tessera::math {

template <int bits>
struct Coefficients;

template <>
struct Coefficients<32> {
// e^r = 1 + r + r^2 P(r), |r| <= ln2/2: 2^-28.2
static constexpr double exp[] = {
    0x1.fffffcp-2, 0x1.555492p-3, 0x1.5558bcp-5, 0x1.1239dep-7, 0x1.6a41b8p-10};
// 2^r = 1 + r P(r), |r| <= 1/2: 2^-28.3
static constexpr double exp2[] = {
    0x1.62e43p-1, 0x1.ebfbdcp-3, 0x1.c6af7cp-5, 0x1.3b2dep-7, 0x1.5f082ep-10, 0x1.416b52p-13};
// log(1+f) = f - f^2/2 + f^3 P(f), 1+f in [sqrt(1/2), sqrt(2)]: 2^-27.4
static constexpr double log[] = {
    0x1.555554p-2, -0x1.000226p-2, 0x1.99a01ep-3, -0x1.547292p-3, 0x1.22d90ep-3, -0x1.0d81bep-3, 0x1.055f1ep-3,
    -0x1.38cd38p-4};
// log2(1+f) = f log2(e) + f^2 P(f), 1+f in [sqrt(1/2), sqrt(2)]: 2^-27.7
static constexpr double log2[] = {
    -0x1.71547p-1, 0x1.ec7094p-2, -0x1.715afep-2, 0x1.277f44p-2, -0x1.eaa24cp-3, 0x1.a2c9dcp-3, -0x1.87f7dp-3,
    0x1.7f281ep-3, -0x1.c39c6ap-4};
// log((1+s)/(1-s)) = 2s + 2/3 s^3 + s^5 P(s^2), |s| <= (sqrt(2)-1)/(sqrt(2)+1): 2^-36.8
static constexpr double pow_log[] = {
    0x1.999ap-2, 0x1.24527cp-2, 0x1.dfa266p-3};
// sin(r) = r + r^3 P(r^2), |r| <= 0.9: 2^-26.4
static constexpr double sin[] = {
    -0x1.55553p-3, 0x1.10ffeep-7, -0x1.9716f4p-13};
// cos(r) = 1 - r^2/2 + r^4 P(r^2), |r| <= 0.9: 2^-30.9
static constexpr double cos[] = {
    0x1.55553cp-5, -0x1.6c04ap-10, 0x1.980092p-16};
// asin(x) = x + x^3 P(x^2), |x| <= 9/16: 2^-29.0
static constexpr double asin[] = {
    0x1.555526p-3, 0x1.334932p-4, 0x1.6a59a8p-5, 0x1.169d72p-5, 0x1.b9ecbap-8, 0x1.84fad8p-5};
// atan(x) = x + x^3 P(x^2), |x| <= 1: 2^-28.5
static constexpr double atan[] = {
    -0x1.55553ep-2, 0x1.9991e4p-3, -0x1.242086p-3, 0x1.c08c5p-4, -0x1.580934p-4, 0x1.da2adap-5, -0x1.fd813p-6,
    0x1.642a76p-7, -0x1.d3698ap-10};
// sinh(x) = x + x^3 P(x^2), |x| <= 1: 2^-31.6
static constexpr double sinh[] = {
    0x1.555556p-3, 0x1.1110ep-7, 0x1.a022bcp-13, 0x1.756c1cp-19};
// tanh(x) = x + x^3 P(x^2), |x| <= 5/8: 2^-27.7
static constexpr double tanh[] = {
    -0x1.555532p-2, 0x1.1106f6p-3, -0x1.b835a4p-5, 0x1.51f8cep-6, -0x1.750cep-8};
// erf(x) = x + x P(x^2), |x| <= 1: 2^-29.4
static constexpr double erf_small[] = {
    0x1.06eba8p-3, -0x1.81273ep-2, 0x1.ce2ce6p-4, -0x1.b7f71ap-6, 0x1.53f224p-8, -0x1.a3515ep-11, 0x1.4771fcp-14};
// erfc(u + 2.0) = e^P(u), u + 2.0 in [1, 3.95]: 2^-29.7
static constexpr double erf_large[] = {
    -0x1.575b32p+2, -0x1.1ac322p+2, -0x1.d8f654p-1, -0x1.0e1f3p-6, 0x1.d0f756p-9, -0x1.7391e6p-11, 0x1.8802b8p-13};
};

template <>
struct Coefficients<64> {
// e^r = 1 + r + r^2 P(r), |r| <= ln2/2: 2^-57.9
static constexpr double exp[] = {
    0x1.000000000000ap-1, 0x1.555555555550cp-3, 0x1.555555555079ap-5, 0x1.11111111246b7p-7, 0x1.6c16c18439aa6p-10,
    0x1.a01a013837efap-13, 0x1.a0199a0c42a22p-16, 0x1.71df0c7d0b79cp-19, 0x1.28ad5f19e331ap-22, 0x1.ad9fd294eebb2p-26};
// 2^r = 1 + r P(r), |r| <= 1/2: 2^-57.8
static constexpr double exp2[] = {
    0x1.62e42fefa39efp-1, 0x1.ebfbdff82c59cp-3, 0x1.c6b08d704a0d5p-5, 0x1.3b2ab6fba11f6p-7, 0x1.5d87fe78b38bep-10,
    0x1.4309130c00d5p-13, 0x1.ffcbfbf985c65p-17, 0x1.62bfcddf61bc6p-20, 0x1.b5260c4b9c84cp-24, 0x1.e6119e82c6f6cp-28,
    0x1.e810a12587feep-32};
// log((1+s)/(1-s)) = 2s + s^3 P(s^2), |s| <= (sqrt(2)-1)/(sqrt(2)+1): 2^-59.5
static constexpr double log[] = {
    0x1.5555555555592p-1, 0x1.999999997ff0cp-2, 0x1.24924941e28b2p-2, 0x1.c71c5213054e5p-3, 0x1.74663d3fa4493p-3,
    0x1.39a1df3503a2cp-3, 0x1.2f0426c4572abp-3};
// log((1+s)/(1-s)) = 2s + 2/3 s^3 + s^5 P(s^2), |s| <= (sqrt(2)-1)/(sqrt(2)+1): 2^-66.3
static constexpr double pow_log[] = {
    0x1.9999999999b3p-2, 0x1.2492492457d64p-2, 0x1.c71c722d66126p-3, 0x1.745ce9e354105p-3, 0x1.3b1eec128dff1p-3,
    0x1.0f7fe85e6840fp-3, 0x1.0e42bc9cd4364p-3};
// sin(r) = r + r^3 P(r^2), |r| <= 0.79: 2^-57.8
static constexpr double sin[] = {
    -0x1.5555555555547p-3, 0x1.111111110f595p-7, -0x1.a01a019bb4463p-13, 0x1.71de352636c86p-19, -0x1.ae5e25fb06a43p-26,
    0x1.5d80413f3ca52p-33};
// cos(r) = 1 - r^2/2 + r^4 P(r^2), |r| <= 0.79: 2^-63.8
static constexpr double cos[] = {
    0x1.555555555554ap-5, -0x1.6c16c16c14df6p-10, 0x1.a01a019c5a988p-16, -0x1.27e4f7cbadd14p-22, 0x1.1ee9c2010ffabp-29,
    -0x1.8f99196ee6d93p-37};
// asin(x) = x + x^3 P(x^2), |x| <= 9/16: 2^-61.3
static constexpr double asin[] = {
    0x1.5555555555562p-3, 0x1.333333333137fp-4, 0x1.6db6db6f73fe5p-5, 0x1.f1c71bac0988p-6, 0x1.6e8bbd02eb2d9p-6,
    0x1.1c4c8821dd8edp-6, 0x1.c9dce1ff16c9ep-7, 0x1.77bb20d560f17p-7, 0x1.555df89577806p-7, 0x1.35e2a6a50f7fcp-8,
    0x1.69ece112b34a9p-6, -0x1.25aa61558136bp-5, 0x1.68bab082f620dp-4, -0x1.83eaff92a7e9dp-4, 0x1.0af51590d72bdp-4};
// atan(x) = x + x^3 P(x^2), |x| <= 1: 2^-57.6
static constexpr double atan[] = {
    -0x1.5555555555526p-2, 0x1.99999999955b2p-3, -0x1.249249237f4f1p-3, 0x1.c71c717fcd70ep-4, -0x1.745d11ae52dfdp-4,
    0x1.3b136698bc741p-4, -0x1.110e511c55b26p-4, 0x1.e1bba5f8ec298p-5, -0x1.ae5e70efce4eap-5, 0x1.82dad20595eefp-5,
    -0x1.59a3f1e169a4cp-5, 0x1.2c2e444758f35p-5, -0x1.e9f9c72c0b061p-6, 0x1.683c7b23b20cap-6, -0x1.c78f47e8c5ca3p-7,
    0x1.d7b87d7921b02p-8, -0x1.7a38fd7fca883p-9, 0x1.b3fa0572b2276p-11, -0x1.3f35b5155153bp-13, 0x1.bbecc9aa7a82dp-17};
// sinh(x) = x + x^3 P(x^2), |x| <= 1: 2^-61.8
static constexpr double sinh[] = {
    0x1.5555555555556p-3, 0x1.111111111101ep-7, 0x1.a01a01a03726ap-13, 0x1.71de3a3b06afep-19, 0x1.ae646ff50fccdp-26,
    0x1.6116f4a27abfdp-33, 0x1.b5c89549b2c83p-41};
// tanh(x) = x + x^3 P(x^2), |x| <= 5/8: 2^-61.2
static constexpr double tanh[] = {
    -0x1.5555555555552p-2, 0x1.1111111110c52p-3, -0x1.ba1ba1b9d1958p-5, 0x1.664f4870c2d32p-6, -0x1.226e32cf8c8b8p-7,
    0x1.d6d35a361af11p-9, -0x1.7d9c32efeb2f9p-10, 0x1.350b86510ea1fp-11, -0x1.f1133e828c972p-13, 0x1.801b5097e6181p-14,
    -0x1.fac4a4b35f5eap-16, 0x1.9603c78bc3ab4p-18};
// erf(x) = x + x P(x^2), |x| <= 1: 2^-56.3
static constexpr double erf_small[] = {
    0x1.06eba8214db69p-3, -0x1.812746b037a25p-2, 0x1.ce2f21a0458dbp-4, -0x1.b82ce31354f13p-6, 0x1.565bcd2c6cb1bp-8,
    -0x1.c02db935fb578p-11, 0x1.f9a3b9d36e81p-14, -0x1.f4dcff39cae2p-17, 0x1.ba6a090d2d11dp-20, -0x1.639b6f7d7fc51p-23,
    0x1.136992ff1345ep-26, -0x1.c6e612e12dcb9p-30, 0x1.3f29367a3d7ap-33};
// erfc(u + 2.5) = e^P(u), u + 2.5 in [1, 5.95]: 2^-59.5
static constexpr double erf_large[] = {
    -0x1.f3a2dc8691b93p+2, -0x1.56925248da96cp+2, -0x1.e3460a18c5886p-1, -0x1.63cc1da701d1ap-7, 0x1.1bd558f46859bp-9,
    -0x1.b961399206d97p-12, 0x1.43172bcd10f6fp-14, -0x1.ac03f9d60c7b2p-17, 0x1.dadea4f5f359ap-20, -0x1.4eca8f5177d92p-23,
    -0x1.b1c0509b722c1p-27, 0x1.74d4490acdd6bp-27, -0x1.e6882af252ea3p-29, 0x1.e3304132fc8e3p-31, -0x1.2ddd185b01ce5p-33,
    0x1.36df794b57e0bp-36, -0x1.3995c5796038p-37, -0x1.98d7097bec23fp-41, 0x1.27780874e269ap-40};
};

}  // namespace tessera::math
