"""Known-truth benchmark of the whole-video fit, beside its peers on the same videos.

    python -m benchmarks.reconstruction --json FILE [--quick] [--model FILE] [--docs PAGE.md] [--long]

Videos are simulated (`models.fitting.simulation`) from the embedded model, whose expression statistics come from the
generator "natural"; seeds differ from those of the model's samples. Others are rendered, filmed and found by the real
landmark detector. Every figure is a mean over the videos of its condition. The fit has its default settings, those of
`params.yaml` after the detector. `--quick` takes fewer and shorter videos, and no long ones. A model without face units
moves as the Gaussian process of its prior says, and is measured without other generators, blendshapes and renders.

Keys of the JSON object are MEASURE + CONDITION. The measures (shares, unless a unit is given):

unexplained_expression_variance    over all vertices of the head, rest as origin
unexplained_landmark_variance      over the 68 landmarks instead
expression_mse                     squared standard deviations
vertex_error                       root mean square over the inter-ocular distance
mean_expression_error              length of the mean error of a video, mm: what leaked between identity and expression
identity_error                     squared, over the squared norm of the truth
rotation_error_deg                 mean angle, degrees
jitter                             root mean square second difference of the error, mm
reprojection_residual              median over the frames, over the inter-ocular distance
interval_coverage_90               of the true coefficients, inside the fit's own 90 % intervals

The conditions. Unless one says otherwise: 1,000 frames, 1 % noise of the inter-ocular distance, head motion of 30, 15
and 10 degrees (yaw, pitch, roll), expressions of the generator "natural", six seeds:

(nothing)                          the usual videos
_noise_0.3, _noise_2               at 0.3 and 2 % noise
_bias                              constant offsets of 1 % between detector and mesh
_outliers                          10 % of the landmarks anywhere
_occluded                          half the face hidden in 10 % of the frames, 5 % without landmarks
_hidden                            of those videos, only the frames in which landmarks are missing
_frontal                           head facing the camera all the time
_all_at_once                       noise, bias, outliers and occlusion together
_bumps, _emotion_sequences, _speech    expressions of generators that the prior was not estimated on
_other_generator                   mean of those three
_200, _2000, _10000                so many frames (three seeds of 2,000, one of 10,000)
_rendered_natural, _rendered_emotion_sequences, _rendered_speech    rendered videos through the real detector, tracking,
                                   smoothing and the detector's offsets, with the values of `params.yaml`
_rendered                          mean over those

`frontal_only_ratio` is unexplained_expression_variance_frontal over unexplained_expression_variance;
`landmark_error_rendered` the root mean square distance between the detector's points, smoothed, and the model's with
offsets, over the inter-ocular distance.

Peers, PEER + MEASURE, all on the same runs of frames of the usual videos, as is `whole_video_`:

per_frame_                         the papers' baseline [31], a linear fit of each frame
bounded_                           per-frame bounded least squares, `scipy.optimize.lsq_linear`
eos_algorithm_                     the algorithm of the library eos, in NumPy, on our basis, face units as blendshapes
eos_pca_                           the same with expression coefficients as a PCA model
eos_library_                       the library itself (`pip install eos-py`), on our basis; left out where not installed
PEER_frames_per_second             of each, in one thread, the fastest for them; the whole-video fit may take all cores
per_frame_unexplained_expression_variance_rendered    the baseline behind the detector

Speed and memory:

frames_per_second                  2,000 frames in memory, all iterations, warm, on all cores; median of fits
frames_per_second_with_uncertainty the same with standard deviations
time_ratio_10000_to_2000           of the fits' wall times
peak_memory_mb                     of a process that does nothing but load and fit 10,000 frames
seconds_100000, peak_memory_mb_100000    likewise for 100,000 frames; only with `--long`
cores, load_average                of the machine; a load well above 0 when the benchmark starts spoils its times
"""
