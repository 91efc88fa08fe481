"""How well DeepExp3D reads expression, beside the fits of the same detected landmarks.

    python -m benchmarks.expression --json FILE [--model NAME|FOLDER] [--docs PAGE.md] [--pictures FOLDER]
        [--card FILE] [--faces FOLDER] [--quick]

Rendered people are of other seeds than any training set and go through the real landmark detector; faces that it does
not find are left out for all methods alike. They are rendered once for each version of the code that makes them and
kept in the cache, or in the folder that `--faces` names, with the fits of their landmarks. A method's name stands in
front of its keys: none is the network's, `single_image_` the fit of one picture, `per_frame_` and
`per_frame_baseline_` the papers' linear fit [31].

Keys of the JSON object. Errors of coefficients are in squared standard deviations unless they end in `_mm2`.

mse, per_frame_baseline_mse, single_image_mse, rest_mse    against the known truth of rendered moments; `rest_mse` is
                            of an answer that is always zero
mse_mm2, vertex_rms, explained_variance    the network's on the same moments: mm^2, root mean square vertex distance
                            over the inter-ocular distance, and the share of the coefficients' variance (in mm)
                            explained; likewise with the other methods' prefixes
fitted_mse, fitted_per_frame_baseline_mse    against the whole-video fits of rendered test videos, as section IV-C does
view_invariance_mse         between semi-profile (45 degrees) and frontal pictures of the same moment (section IV-A:
                            0.008, of a unit that the paper does not state); `_mm2` in mm^2; `_share` over the variance
                            of the frontal estimates
identity_leakage            accuracy of a linear probe that recognises the person from e; `identity_leakage_true` of the
                            same probe on the true e, `identity_leakage_chance`
neutral_variance            of e over neutral faces of different people, mean over the coefficients
robustness_plain, robustness_KIND_LEVEL    MSE under severities of each kind (models.expression.robustness);
                            `robustness_found_...` the share of faces that the detector found
london_spread, london_offset, london_cosine    on the London faces, e in mm (models.expression.neutral_smile); with the
                            suffix `_std` in standard deviations
london_accuracy             neutral against smile by a direction and a threshold learned from rendered faces alone, in
                            standard deviations; `london_accuracy_mm` in mm
london_best_accuracy        by the best threshold on the mean smile of the London faces themselves, in mm (`_std`
                            likewise)
london_people_KIND_GROUP, london_spread_KIND_GROUP, london_offset_KIND_GROUP, london_accuracy_KIND_GROUP    by age,
                            gender and ethnicity; here `offset` is how far the group's mean neutral face is from
                            everybody's
zero_shot_...               of the emotion classifier beside the network, if there is one: `rendered_accuracy` and
                            `rendered_log_loss` on posed emotions of rendered people, `london_accuracy` (seven answers,
                            two right ones), `london_binary_accuracy` (the likelier of neutral and happy),
                            `london_neutral_as_EMOTION`, `london_happy_as_EMOTION`, `microseconds_1` and `_8` a row
people, moments, london_people    how many were measured

The London figures are measured where the variable LONDON_FACES names the folder, and left out otherwise.
"""
