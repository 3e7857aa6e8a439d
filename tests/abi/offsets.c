// Where every member of every public struct lies on 64-bit machines, and what every constant is;
// scripts/offsets.sh writes this.
// A line that changes breaks programs that were built before, unless it is the size of an options
// struct with new members behind the last one.
#include <stddef.h>
#include <stdint.h>

#include <libmcl/mcl.h>

#define SIZE(type, bytes) _Static_assert(sizeof(type) == (bytes), "size of " #type)
#define AT(type, member, place)                                                                    \
  _Static_assert(offsetof(type, member) == (place), "place of " #type "." #member)
#define VALUE(constant, number) _Static_assert((constant) == (number), "value of " #constant)

// clang-format off
#if UINTPTR_MAX == UINT64_MAX

SIZE(mcl_array, 88);
AT(mcl_array, data, 0);
AT(mcl_array, dtype, 8);
AT(mcl_array, ndim, 12);
AT(mcl_array, flags, 16);
AT(mcl_array, device, 20);
AT(mcl_array, shape, 24);
AT(mcl_array, strides, 56);

SIZE(mcl_error, 256);
AT(mcl_error, status, 0);
AT(mcl_error, host_code, 4);
AT(mcl_error, row, 8);
AT(mcl_error, reserved, 16);
AT(mcl_error, message, 32);

SIZE(mcl_allocator, 32);
AT(mcl_allocator, struct_size, 0);
AT(mcl_allocator, user, 8);
AT(mcl_allocator, alloc, 16);
AT(mcl_allocator, free, 24);

SIZE(mcl_runner, 32);
AT(mcl_runner, struct_size, 0);
AT(mcl_runner, user, 8);
AT(mcl_runner, concurrency, 16);
AT(mcl_runner, run, 24);

SIZE(mcl_context_options, 48);
AT(mcl_context_options, struct_size, 0);
AT(mcl_context_options, allocator, 8);
AT(mcl_context_options, runner, 16);
AT(mcl_context_options, log, 24);
AT(mcl_context_options, log_user, 32);
AT(mcl_context_options, log_level, 40);
AT(mcl_context_options, threads, 44);

SIZE(mcl_progress, 56);
AT(mcl_progress, struct_size, 0);
AT(mcl_progress, phase, 8);
AT(mcl_progress, done, 16);
AT(mcl_progress, total, 24);
AT(mcl_progress, stage, 32);
AT(mcl_progress, epoch, 36);
AT(mcl_progress, loss, 40);
AT(mcl_progress, seconds, 48);

SIZE(mcl_monitor, 24);
AT(mcl_monitor, struct_size, 0);
AT(mcl_monitor, user, 8);
AT(mcl_monitor, progress, 16);

SIZE(mcl_host_comm, 48);
AT(mcl_host_comm, struct_size, 0);
AT(mcl_host_comm, user, 8);
AT(mcl_host_comm, rank, 16);
AT(mcl_host_comm, size, 20);
AT(mcl_host_comm, allgather, 24);
AT(mcl_host_comm, destroy, 32);
AT(mcl_host_comm, sum, 40);

SIZE(mcl_rows, 56);
AT(mcl_rows, struct_size, 0);
AT(mcl_rows, array, 8);
AT(mcl_rows, rows, 16);
AT(mcl_rows, dim, 24);
AT(mcl_rows, dtype, 28);
AT(mcl_rows, user, 32);
AT(mcl_rows, read, 40);
AT(mcl_rows, flags, 48);
AT(mcl_rows, reserved, 52);

SIZE(mcl_kmeans_options, 72);
AT(mcl_kmeans_options, struct_size, 0);
AT(mcl_kmeans_options, seed, 8);
AT(mcl_kmeans_options, k, 16);
AT(mcl_kmeans_options, method, 20);
AT(mcl_kmeans_options, metric, 24);
AT(mcl_kmeans_options, init, 28);
AT(mcl_kmeans_options, empty, 32);
AT(mcl_kmeans_options, restarts, 36);
AT(mcl_kmeans_options, max_iterations, 40);
AT(mcl_kmeans_options, minibatch_rows, 44);
AT(mcl_kmeans_options, tolerance, 48);
AT(mcl_kmeans_options, max_train_rows, 56);
AT(mcl_kmeans_options, max_bytes, 64);

SIZE(mcl_host_clusterer, 40);
AT(mcl_host_clusterer, struct_size, 0);
AT(mcl_host_clusterer, user, 8);
AT(mcl_host_clusterer, fit, 16);
AT(mcl_host_clusterer, assign, 24);
AT(mcl_host_clusterer, destroy, 32);

SIZE(mcl_clusterer_report, 80);
AT(mcl_clusterer_report, struct_size, 0);
AT(mcl_clusterer_report, rows, 8);
AT(mcl_clusterer_report, distinct, 16);
AT(mcl_clusterer_report, repairs, 24);
AT(mcl_clusterer_report, zero_rows, 32);
AT(mcl_clusterer_report, k, 40);
AT(mcl_clusterer_report, k_effective, 44);
AT(mcl_clusterer_report, iterations, 48);
AT(mcl_clusterer_report, converged, 52);
AT(mcl_clusterer_report, inertia, 56);
AT(mcl_clusterer_report, mean_cosine, 64);
AT(mcl_clusterer_report, imbalance, 72);

SIZE(mcl_inputs, 56);
AT(mcl_inputs, struct_size, 0);
AT(mcl_inputs, indices, 8);
AT(mcl_inputs, n, 16);
AT(mcl_inputs, data, 24);
AT(mcl_inputs, modality, 32);
AT(mcl_inputs, view, 36);
AT(mcl_inputs, stage, 40);
AT(mcl_inputs, epoch, 44);
AT(mcl_inputs, seed, 48);

SIZE(mcl_image_options, 48);
AT(mcl_image_options, struct_size, 0);
AT(mcl_image_options, max_pixels, 8);
AT(mcl_image_options, max_bytes, 16);
AT(mcl_image_options, max_side, 24);
AT(mcl_image_options, max_scans, 28);
AT(mcl_image_options, fit, 32);
AT(mcl_image_options, filter, 36);
AT(mcl_image_options, allow_truncated, 40);
AT(mcl_image_options, reserved, 44);

SIZE(mcl_augmenter_options, 128);
AT(mcl_augmenter_options, struct_size, 0);
AT(mcl_augmenter_options, height, 8);
AT(mcl_augmenter_options, width, 12);
AT(mcl_augmenter_options, extra_channels, 16);
AT(mcl_augmenter_options, crop_size, 20);
AT(mcl_augmenter_options, unclamped_brightness, 24);
AT(mcl_augmenter_options, clamped_crop, 28);
AT(mcl_augmenter_options, crop_area_min, 32);
AT(mcl_augmenter_options, crop_area_max, 40);
AT(mcl_augmenter_options, crop_aspect_max, 48);
AT(mcl_augmenter_options, flip, 56);
AT(mcl_augmenter_options, jitter, 64);
AT(mcl_augmenter_options, brightness, 72);
AT(mcl_augmenter_options, contrast, 80);
AT(mcl_augmenter_options, saturation, 88);
AT(mcl_augmenter_options, hue, 96);
AT(mcl_augmenter_options, grey, 104);
AT(mcl_augmenter_options, blur, 112);
AT(mcl_augmenter_options, noise, 120);

SIZE(mcl_tokenizer_options, 48);
AT(mcl_tokenizer_options, struct_size, 0);
AT(mcl_tokenizer_options, max_text_bytes, 8);
AT(mcl_tokenizer_options, max_file_bytes, 16);
AT(mcl_tokenizer_options, vocabulary, 24);
AT(mcl_tokenizer_options, context, 28);
AT(mcl_tokenizer_options, padding, 32);
AT(mcl_tokenizer_options, min_count, 36);
AT(mcl_tokenizer_options, on_long, 40);
AT(mcl_tokenizer_options, on_bad_utf8, 44);

SIZE(mcl_host_dataset, 72);
AT(mcl_host_dataset, struct_size, 0);
AT(mcl_host_dataset, user, 8);
AT(mcl_host_dataset, rows, 16);
AT(mcl_host_dataset, fingerprint, 24);
AT(mcl_host_dataset, modalities, 32);
AT(mcl_host_dataset, flags, 36);
AT(mcl_host_dataset, shape, 40);
AT(mcl_host_dataset, load, 48);
AT(mcl_host_dataset, destroy, 56);
AT(mcl_host_dataset, groups, 64);

SIZE(mcl_folder_options, 40);
AT(mcl_folder_options, struct_size, 0);
AT(mcl_folder_options, image, 8);
AT(mcl_folder_options, cache_bytes, 16);
AT(mcl_folder_options, height, 24);
AT(mcl_folder_options, width, 28);
AT(mcl_folder_options, on_bad_file, 32);
AT(mcl_folder_options, reserved, 36);

SIZE(mcl_pairs_options, 40);
AT(mcl_pairs_options, struct_size, 0);
AT(mcl_pairs_options, images, 8);
AT(mcl_pairs_options, max_file_bytes, 16);
AT(mcl_pairs_options, max_line_bytes, 24);
AT(mcl_pairs_options, format, 32);
AT(mcl_pairs_options, heading, 36);

SIZE(mcl_dataset_report, 48);
AT(mcl_dataset_report, struct_size, 0);
AT(mcl_dataset_report, files, 8);
AT(mcl_dataset_report, skipped, 16);
AT(mcl_dataset_report, rows, 24);
AT(mcl_dataset_report, classes, 32);
AT(mcl_dataset_report, cached, 36);
AT(mcl_dataset_report, captions_skipped, 40);

SIZE(mcl_step, 40);
AT(mcl_step, struct_size, 0);
AT(mcl_step, learning_rate, 8);
AT(mcl_step, step, 16);
AT(mcl_step, steps, 24);
AT(mcl_step, stage, 32);
AT(mcl_step, epoch, 36);

SIZE(mcl_host_encoder, 136);
AT(mcl_host_encoder, struct_size, 0);
AT(mcl_host_encoder, user, 8);
AT(mcl_host_encoder, dim, 16);
AT(mcl_host_encoder, projection_dim, 20);
AT(mcl_host_encoder, modalities, 24);
AT(mcl_host_encoder, flags, 28);
AT(mcl_host_encoder, embed, 32);
AT(mcl_host_encoder, forward, 40);
AT(mcl_host_encoder, backward, 48);
AT(mcl_host_encoder, step, 56);
AT(mcl_host_encoder, save, 64);
AT(mcl_host_encoder, load, 72);
AT(mcl_host_encoder, destroy, 80);
AT(mcl_host_encoder, held, 88);
AT(mcl_host_encoder, temperature, 96);
AT(mcl_host_encoder, backward_temperature, 104);
AT(mcl_host_encoder, give_up, 112);
AT(mcl_host_encoder, start_from, 120);
AT(mcl_host_encoder, sum_gradients, 128);

SIZE(mcl_optimiser_options, 56);
AT(mcl_optimiser_options, struct_size, 0);
AT(mcl_optimiser_options, kind, 8);
AT(mcl_optimiser_options, flags, 12);
AT(mcl_optimiser_options, momentum, 16);
AT(mcl_optimiser_options, beta1, 24);
AT(mcl_optimiser_options, beta2, 32);
AT(mcl_optimiser_options, epsilon, 40);
AT(mcl_optimiser_options, weight_decay, 48);

SIZE(mcl_mlp_options, 48);
AT(mcl_mlp_options, struct_size, 0);
AT(mcl_mlp_options, seed, 8);
AT(mcl_mlp_options, inputs, 16);
AT(mcl_mlp_options, hidden, 24);
AT(mcl_mlp_options, layers, 28);
AT(mcl_mlp_options, dim, 32);
AT(mcl_mlp_options, projection_dim, 36);
AT(mcl_mlp_options, optimiser, 40);

SIZE(mcl_cnn_options, 88);
AT(mcl_cnn_options, struct_size, 0);
AT(mcl_cnn_options, seed, 8);
AT(mcl_cnn_options, height, 16);
AT(mcl_cnn_options, width, 20);
AT(mcl_cnn_options, channels, 24);
AT(mcl_cnn_options, layers, 28);
AT(mcl_cnn_options, filters, 32);
AT(mcl_cnn_options, kernels, 40);
AT(mcl_cnn_options, strides, 48);
AT(mcl_cnn_options, batch_norm, 56);
AT(mcl_cnn_options, dim, 60);
AT(mcl_cnn_options, projection_hidden, 64);
AT(mcl_cnn_options, projection_dim, 68);
AT(mcl_cnn_options, optimiser, 72);
AT(mcl_cnn_options, padding, 80);
AT(mcl_cnn_options, init, 84);

SIZE(mcl_resnet_options, 80);
AT(mcl_resnet_options, struct_size, 0);
AT(mcl_resnet_options, seed, 8);
AT(mcl_resnet_options, height, 16);
AT(mcl_resnet_options, width, 20);
AT(mcl_resnet_options, channels, 24);
AT(mcl_resnet_options, depth, 28);
AT(mcl_resnet_options, stem, 32);
AT(mcl_resnet_options, filters, 36);
AT(mcl_resnet_options, trained_blocks, 40);
AT(mcl_resnet_options, projection_layers, 44);
AT(mcl_resnet_options, projection_hidden, 48);
AT(mcl_resnet_options, projection_dim, 52);
AT(mcl_resnet_options, mean, 56);
AT(mcl_resnet_options, deviation, 64);
AT(mcl_resnet_options, optimiser, 72);

SIZE(mcl_vit_options, 112);
AT(mcl_vit_options, struct_size, 0);
AT(mcl_vit_options, seed, 8);
AT(mcl_vit_options, height, 16);
AT(mcl_vit_options, width, 20);
AT(mcl_vit_options, channels, 24);
AT(mcl_vit_options, patch, 28);
AT(mcl_vit_options, embed, 32);
AT(mcl_vit_options, layers, 36);
AT(mcl_vit_options, heads, 40);
AT(mcl_vit_options, hidden, 44);
AT(mcl_vit_options, gelu, 48);
AT(mcl_vit_options, class_token, 52);
AT(mcl_vit_options, pre_norm, 56);
AT(mcl_vit_options, trained_blocks, 60);
AT(mcl_vit_options, dim, 64);
AT(mcl_vit_options, projection_dim, 68);
AT(mcl_vit_options, mean, 72);
AT(mcl_vit_options, deviation, 80);
AT(mcl_vit_options, optimiser, 88);
AT(mcl_vit_options, epsilon, 96);
AT(mcl_vit_options, patch_bias, 104);
AT(mcl_vit_options, reserved, 108);

SIZE(mcl_bag_options, 64);
AT(mcl_bag_options, struct_size, 0);
AT(mcl_bag_options, seed, 8);
AT(mcl_bag_options, vocabulary, 16);
AT(mcl_bag_options, context, 20);
AT(mcl_bag_options, embed, 24);
AT(mcl_bag_options, mean, 28);
AT(mcl_bag_options, hidden, 32);
AT(mcl_bag_options, layers, 36);
AT(mcl_bag_options, padding, 40);
AT(mcl_bag_options, dim, 44);
AT(mcl_bag_options, projection_dim, 48);
AT(mcl_bag_options, reserved, 52);
AT(mcl_bag_options, optimiser, 56);

SIZE(mcl_text_options, 80);
AT(mcl_text_options, struct_size, 0);
AT(mcl_text_options, seed, 8);
AT(mcl_text_options, vocabulary, 16);
AT(mcl_text_options, context, 20);
AT(mcl_text_options, embed, 24);
AT(mcl_text_options, layers, 28);
AT(mcl_text_options, heads, 32);
AT(mcl_text_options, causal, 36);
AT(mcl_text_options, gelu, 40);
AT(mcl_text_options, padding, 44);
AT(mcl_text_options, end, 48);
AT(mcl_text_options, dim, 52);
AT(mcl_text_options, projection_dim, 56);
AT(mcl_text_options, trained_blocks, 60);
AT(mcl_text_options, optimiser, 64);
AT(mcl_text_options, hidden, 72);
AT(mcl_text_options, reserved, 76);

SIZE(mcl_pair_options, 40);
AT(mcl_pair_options, struct_size, 0);
AT(mcl_pair_options, seed, 8);
AT(mcl_pair_options, temperature, 16);
AT(mcl_pair_options, locked, 24);
AT(mcl_pair_options, dim, 28);
AT(mcl_pair_options, optimiser, 32);

SIZE(mcl_clip_options, 56);
AT(mcl_clip_options, struct_size, 0);
AT(mcl_clip_options, image_heads, 8);
AT(mcl_clip_options, text_heads, 12);
AT(mcl_clip_options, gelu, 16);
AT(mcl_clip_options, trained_image_blocks, 20);
AT(mcl_clip_options, trained_text_blocks, 24);
AT(mcl_clip_options, locked, 28);
AT(mcl_clip_options, mean, 32);
AT(mcl_clip_options, deviation, 40);
AT(mcl_clip_options, optimiser, 48);

SIZE(mcl_integrator_options, 16);
AT(mcl_integrator_options, struct_size, 0);
AT(mcl_integrator_options, flags, 8);
AT(mcl_integrator_options, reserved, 12);

SIZE(mcl_weights_options, 32);
AT(mcl_weights_options, struct_size, 0);
AT(mcl_weights_options, method, 8);
AT(mcl_weights_options, neighbours, 12);
AT(mcl_weights_options, max_iterations, 16);
AT(mcl_weights_options, flags, 20);
AT(mcl_weights_options, penalty, 24);

SIZE(mcl_weights_report, 56);
AT(mcl_weights_report, struct_size, 0);
AT(mcl_weights_report, criterion_before, 8);
AT(mcl_weights_report, criterion, 16);
AT(mcl_weights_report, accuracy_before, 24);
AT(mcl_weights_report, accuracy, 32);
AT(mcl_weights_report, anchors, 40);
AT(mcl_weights_report, iterations, 48);
AT(mcl_weights_report, converged, 52);

SIZE(mcl_loss_options, 24);
AT(mcl_loss_options, struct_size, 0);
AT(mcl_loss_options, temperature, 8);
AT(mcl_loss_options, flags, 16);
AT(mcl_loss_options, reserved, 20);

SIZE(mcl_loss_inputs, 88);
AT(mcl_loss_inputs, struct_size, 0);
AT(mcl_loss_inputs, za, 8);
AT(mcl_loss_inputs, zb, 16);
AT(mcl_loss_inputs, cells, 24);
AT(mcl_loss_inputs, duplicates, 32);
AT(mcl_loss_inputs, first_positive, 40);
AT(mcl_loss_inputs, dza, 48);
AT(mcl_loss_inputs, dzb, 56);
AT(mcl_loss_inputs, other_duplicates, 64);
AT(mcl_loss_inputs, first_anchor, 72);
AT(mcl_loss_inputs, anchors, 80);

SIZE(mcl_loss_result, 48);
AT(mcl_loss_result, struct_size, 0);
AT(mcl_loss_result, loss, 8);
AT(mcl_loss_result, d_log_temperature, 16);
AT(mcl_loss_result, accuracy, 24);
AT(mcl_loss_result, anchors, 32);
AT(mcl_loss_result, anchors_without_negatives, 40);

SIZE(mcl_sampler_options, 48);
AT(mcl_sampler_options, struct_size, 0);
AT(mcl_sampler_options, seed, 8);
AT(mcl_sampler_options, batch_rows, 16);
AT(mcl_sampler_options, min_cell_rows, 24);
AT(mcl_sampler_options, small_cells, 32);
AT(mcl_sampler_options, batching, 36);
AT(mcl_sampler_options, order, 40);
AT(mcl_sampler_options, flags, 44);

SIZE(mcl_batch, 64);
AT(mcl_batch, struct_size, 0);
AT(mcl_batch, indices, 8);
AT(mcl_batch, cells, 16);
AT(mcl_batch, capacity, 24);
AT(mcl_batch, n, 32);
AT(mcl_batch, step, 40);
AT(mcl_batch, steps, 48);
AT(mcl_batch, stage, 56);
AT(mcl_batch, epoch, 60);

SIZE(mcl_sampler_report, 104);
AT(mcl_sampler_report, struct_size, 0);
AT(mcl_sampler_report, rows, 8);
AT(mcl_sampler_report, used, 16);
AT(mcl_sampler_report, dropped, 24);
AT(mcl_sampler_report, repeated, 32);
AT(mcl_sampler_report, backed_off, 40);
AT(mcl_sampler_report, alone, 48);
AT(mcl_sampler_report, excluded, 56);
AT(mcl_sampler_report, steps, 64);
AT(mcl_sampler_report, cells, 72);
AT(mcl_sampler_report, smallest_cell, 80);
AT(mcl_sampler_report, median_cell, 88);
AT(mcl_sampler_report, largest_cell, 96);

SIZE(mcl_multistage_options, 144);
AT(mcl_multistage_options, struct_size, 0);
AT(mcl_multistage_options, seed, 8);
AT(mcl_multistage_options, stages, 16);
AT(mcl_multistage_options, epochs, 20);
AT(mcl_multistage_options, modalities, 24);
AT(mcl_multistage_options, cluster_modalities, 28);
AT(mcl_multistage_options, fingerprint, 32);
AT(mcl_multistage_options, embedding_directory, 40);
AT(mcl_multistage_options, clusterer, 48);
AT(mcl_multistage_options, kmeans, 56);
AT(mcl_multistage_options, sampler, 64);
AT(mcl_multistage_options, loss, 72);
AT(mcl_multistage_options, save_directory, 80);
AT(mcl_multistage_options, save_every_steps, 88);
AT(mcl_multistage_options, learning_rate, 96);
AT(mcl_multistage_options, warm_up, 104);
AT(mcl_multistage_options, loss_kind, 112);
AT(mcl_multistage_options, schedule, 116);
AT(mcl_multistage_options, growth, 120);
AT(mcl_multistage_options, chunk_rows, 128);
AT(mcl_multistage_options, trained_stages, 136);
AT(mcl_multistage_options, initial, 140);

SIZE(mcl_event, 24);
AT(mcl_event, struct_size, 0);
AT(mcl_event, kind, 8);
AT(mcl_event, stage, 12);
AT(mcl_event, epoch, 16);
AT(mcl_event, modality, 20);

SIZE(mcl_stage_report, 256);
AT(mcl_stage_report, struct_size, 0);
AT(mcl_stage_report, stage, 8);
AT(mcl_stage_report, modality, 12);
AT(mcl_stage_report, k_effective, 16);
AT(mcl_stage_report, epochs, 20);
AT(mcl_stage_report, rows_seen, 24);
AT(mcl_stage_report, cells, 32);
AT(mcl_stage_report, smallest_cell, 40);
AT(mcl_stage_report, median_cell, 48);
AT(mcl_stage_report, largest_cell, 56);
AT(mcl_stage_report, backed_off, 64);
AT(mcl_stage_report, repairs, 72);
AT(mcl_stage_report, loss_first, 80);
AT(mcl_stage_report, loss_last, 88);
AT(mcl_stage_report, accuracy, 96);
AT(mcl_stage_report, nmi_previous, 104);
AT(mcl_stage_report, entropy_given_previous, 112);
AT(mcl_stage_report, cell_cosine, 120);
AT(mcl_stage_report, inertia, 128);
AT(mcl_stage_report, low_cell, 136);
AT(mcl_stage_report, high_cell, 144);
AT(mcl_stage_report, enough_negatives, 152);
AT(mcl_stage_report, next_cells, 160);
AT(mcl_stage_report, next_smallest_cell, 168);
AT(mcl_stage_report, next_low_cell, 176);
AT(mcl_stage_report, next_median_cell, 184);
AT(mcl_stage_report, next_high_cell, 192);
AT(mcl_stage_report, next_largest_cell, 200);
AT(mcl_stage_report, next_backed_off, 208);
AT(mcl_stage_report, next_enough_negatives, 216);
AT(mcl_stage_report, told_before, 224);
AT(mcl_stage_report, told, 232);
AT(mcl_stage_report, told_next, 240);
AT(mcl_stage_report, advice, 248);
AT(mcl_stage_report, reserved, 252);

SIZE(mcl_encoder_factory, 32);
AT(mcl_encoder_factory, struct_size, 0);
AT(mcl_encoder_factory, user, 8);
AT(mcl_encoder_factory, make, 16);
AT(mcl_encoder_factory, destroy, 24);

SIZE(mcl_probe_options, 48);
AT(mcl_probe_options, struct_size, 0);
AT(mcl_probe_options, seed, 8);
AT(mcl_probe_options, neighbours, 16);
AT(mcl_probe_options, max_iterations, 20);
AT(mcl_probe_options, l2, 24);
AT(mcl_probe_options, gradient_tolerance, 32);
AT(mcl_probe_options, confidence, 40);

SIZE(mcl_probe_result, 56);
AT(mcl_probe_result, struct_size, 0);
AT(mcl_probe_result, value, 8);
AT(mcl_probe_result, low, 16);
AT(mcl_probe_result, high, 24);
AT(mcl_probe_result, correct, 32);
AT(mcl_probe_result, total, 40);
AT(mcl_probe_result, iterations, 48);
AT(mcl_probe_result, converged, 52);

VALUE(MCL_F32, 1);
VALUE(MCL_F64, 2);
VALUE(MCL_F16, 3);
VALUE(MCL_BF16, 4);
VALUE(MCL_U8, 5);
VALUE(MCL_I32, 6);
VALUE(MCL_I64, 7);
VALUE(MCL_ARRAY_READONLY, 1);
VALUE(MCL_OK, 0);
VALUE(MCL_E_INVALID, -1);
VALUE(MCL_E_NOMEM, -2);
VALUE(MCL_E_UNSUPPORTED, -3);
VALUE(MCL_E_SHAPE, -4);
VALUE(MCL_E_DTYPE, -5);
VALUE(MCL_E_STATE, -6);
VALUE(MCL_E_IO, -7);
VALUE(MCL_E_FORMAT, -8);
VALUE(MCL_E_LIMIT, -9);
VALUE(MCL_E_NOT_FINITE, -10);
VALUE(MCL_E_CANCELLED, -11);
VALUE(MCL_E_CALLBACK, -12);
VALUE(MCL_E_COMM, -13);
VALUE(MCL_E_BUSY, -14);
VALUE(MCL_E_NOT_FOUND, -15);
VALUE(MCL_E_MISMATCH, -16);
VALUE(MCL_E_INTERNAL, -99);
VALUE(MCL_LOG_OFF, 0);
VALUE(MCL_LOG_ERROR, 1);
VALUE(MCL_LOG_WARN, 2);
VALUE(MCL_LOG_INFO, 3);
VALUE(MCL_LOG_DEBUG, 4);
VALUE(MCL_COMM_BYTES, 16777216);
VALUE(MCL_COMM_FLOATS, 4194304);
VALUE(MCL_ROWS_ANY_THREAD, 1);
VALUE(MCL_LLOYD, 1);
VALUE(MCL_MINIBATCH, 2);
VALUE(MCL_INIT_KMEANSPP, 1);
VALUE(MCL_INIT_RANDOM, 2);
VALUE(MCL_INIT_GIVEN, 3);
VALUE(MCL_COSINE, 1);
VALUE(MCL_L2, 2);
VALUE(MCL_EMPTY_FARTHEST, 1);
VALUE(MCL_EMPTY_SPLIT_LARGEST, 2);
VALUE(MCL_EMPTY_SHRINK_K, 3);
VALUE(MCL_FIT_STRETCH, 1);
VALUE(MCL_FIT_CROP, 2);
VALUE(MCL_FILTER_TRIANGLE, 1);
VALUE(MCL_FILTER_BOX, 2);
VALUE(MCL_CROP_UNIFORM_AREA, 0);
VALUE(MCL_CROP_UNIFORM_SIDE, 1);
VALUE(MCL_CROP_UNIFORM_HEIGHT, 2);
VALUE(MCL_LONG_TEXT_CUT, 1);
VALUE(MCL_LONG_TEXT_FAIL, 2);
VALUE(MCL_BAD_UTF8_FAIL, 1);
VALUE(MCL_BAD_UTF8_REPLACE, 2);
VALUE(MCL_BAD_FILE_SKIP, 1);
VALUE(MCL_BAD_FILE_FAIL, 2);
VALUE(MCL_PAIRS_BY_NAME, 0);
VALUE(MCL_PAIRS_TSV, 1);
VALUE(MCL_PAIRS_CSV, 2);
VALUE(MCL_PAIRS_JSON_LINES, 3);
VALUE(MCL_HOST_CHUNKS, 1);
VALUE(MCL_SGD, 1);
VALUE(MCL_ADAM, 2);
VALUE(MCL_DECOUPLED_DECAY, 1);
VALUE(MCL_PADDING_SAME, 0);
VALUE(MCL_PADDING_VALID, 1);
VALUE(MCL_INIT_FAN_IN, 0);
VALUE(MCL_INIT_GLOROT, 1);
VALUE(MCL_STEM_IMAGENET, 0);
VALUE(MCL_STEM_CIFAR, 1);
VALUE(MCL_GELU, 1);
VALUE(MCL_GELU_QUICK, 2);
VALUE(MCL_WEIGHTS_NEIGHBOURS, 1);
VALUE(MCL_WEIGHTS_CONTRASTIVE, 2);
VALUE(MCL_REDUCE_SUM, 1);
VALUE(MCL_ROWS_AS_GIVEN, 2);
VALUE(MCL_ONE_WAY, 4);
VALUE(MCL_LEAST_MEMORY, 8);
VALUE(MCL_SOME_ANCHORS, 16);
VALUE(MCL_SMALL_BACK_OFF, 1);
VALUE(MCL_SMALL_KEEP, 2);
VALUE(MCL_SMALL_DROP, 3);
VALUE(MCL_BATCH_ONE_CELL, 1);
VALUE(MCL_BATCH_PACKED, 2);
VALUE(MCL_ORDER_PROPORTIONAL, 1);
VALUE(MCL_ORDER_ROUND_ROBIN, 2);
VALUE(MCL_ORDER_UNIFORM, 3);
VALUE(MCL_LOSS_NT_XENT, 1);
VALUE(MCL_LOSS_INFO_NCE, 2);
VALUE(MCL_SCHEDULE_CONSTANT, 1);
VALUE(MCL_SCHEDULE_LINEAR, 2);
VALUE(MCL_SCHEDULE_COSINE, 3);
VALUE(MCL_INITIAL_FRESH, 0);
VALUE(MCL_INITIAL_PRECEDING, 1);
VALUE(MCL_BEGIN_STAGE, 1);
VALUE(MCL_RESUME_STAGE, 2);
VALUE(MCL_TRAIN_BATCH, 3);
VALUE(MCL_EMBED_ROWS, 4);
VALUE(MCL_END_STAGE, 5);
VALUE(MCL_DONE, 6);
VALUE(MCL_ADVICE_GO_ON, 1);
VALUE(MCL_ADVICE_RAISE_K, 2);
VALUE(MCL_ADVICE_NOTHING_NEW, 3);
VALUE(MCL_ADVICE_CELLS_TOO_SMALL, 4);
VALUE(MCL_ENOUGH_NEGATIVES, 8);

#endif
// clang-format on

int main(void) {
  return 0;
}
